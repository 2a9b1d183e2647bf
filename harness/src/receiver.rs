//! An endpoint on a raw socket. It can misbehave in every way that TCP, TLS and HTTP allow.
//!
//! The rule: it reads a whole request and then follows its script. For tests it keeps each request byte for byte; for
//! measurements it only counts them.

mod arrival;
mod script;

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use anyhow::{Result, ensure};
use bytes::BytesMut;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpSocket;
use tokio::time::sleep;
use tokio_rustls::TlsAcceptor;

use crate::server::Server;
use crate::{eventually, lock};
pub use arrival::Arrival;
pub use script::{Act, Failing, Script, after, answer, answer_and_close, by_number, status};

/// An endpoint on 127.0.0.1. Dropping it closes its connections.
#[derive(Debug)]
pub struct Receiver {
    server: Server,
    /// Scheme and host.
    origin: &'static str,
    state: Arc<State>,
}

#[derive(Debug)]
struct State {
    script: Mutex<Script>,
    keeps_arrivals: bool,
    arrivals: Mutex<Vec<Arrival>>,
    posts: AtomicU64,
    bytes_received: AtomicU64,
    bytes_sent: AtomicU64,
}

impl Receiver {
    /// An http endpoint that keeps every request.
    pub async fn start(script: impl Into<Script>) -> Self {
        Self::listen("http://127.0.0.1", script.into(), None, true).await
    }

    /// An https endpoint that keeps every request; see [`Authority`](crate::Authority).
    pub async fn start_tls(script: impl Into<Script>, tls: TlsAcceptor) -> Self {
        Self::listen("https://127.0.0.1", script.into(), Some(tls), true).await
    }

    /// An endpoint that only counts requests. Its URL has a host name, which the client must resolve.
    pub async fn counting(script: impl Into<Script>, tls: Option<TlsAcceptor>) -> Self {
        let origin = if tls.is_some() { "https://localhost" } else { "http://localhost" };
        Self::listen(origin, script.into(), tls, false).await
    }

    async fn listen(
        origin: &'static str,
        script: Script,
        tls: Option<TlsAcceptor>,
        keeps_arrivals: bool,
    ) -> Self {
        let state = Arc::new(State {
            script: script.into(),
            keeps_arrivals,
            arrivals: Mutex::default(),
            posts: AtomicU64::new(0),
            bytes_received: AtomicU64::new(0),
            bytes_sent: AtomicU64::new(0),
        });
        let shared = Arc::clone(&state);
        let server = Server::start(move |stream| {
            let (tls, state) = (tls.clone(), Arc::clone(&shared));
            async move {
                // Tests check the sender's side, so a connection may end with any error.
                drop(match tls {
                    Some(tls) => match tls.accept(stream).await {
                        Ok(stream) => state.serve(stream).await,
                        Err(error) => Err(error),
                    },
                    None => state.serve(stream).await,
                });
            }
        })
        .await;
        Self { server, origin, state }
    }

    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.server.address()
    }

    #[must_use]
    pub fn url(&self) -> String {
        format!("{}:{}/webhooks/docintell", self.origin, self.address().port())
    }

    /// From now on, follows `script`.
    pub fn now(&self, script: impl Into<Script>) {
        *lock(&self.state.script) = script.into();
    }

    #[must_use]
    pub fn arrivals(&self) -> Vec<Arrival> {
        lock(&self.state.arrivals).clone()
    }

    /// Waits for at least `count` requests; returns all of them.
    pub async fn wait_for(&self, count: usize) -> Vec<Arrival> {
        eventually(&format!("request {count} at the receiver"), async || {
            Some(self.arrivals()).filter(|arrivals| arrivals.len() >= count)
        })
        .await
    }

    /// Number of accepted connections.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.server.connections()
    }

    /// Bytes sent in all responses.
    #[must_use]
    pub fn bytes_sent(&self) -> u64 {
        self.state.bytes_sent.load(Ordering::SeqCst)
    }

    /// Requests since the last call, and their bytes.
    #[must_use]
    pub fn take(&self) -> (u64, u64) {
        let taken = |count: &AtomicU64| count.swap(0, Ordering::SeqCst);
        (taken(&self.state.posts), taken(&self.state.bytes_received))
    }

    /// Checks that exactly `expected` requests have arrived since the last call.
    pub fn take_posts(&self, expected: u64) -> Result<()> {
        let (posts, _) = self.take();
        ensure!(posts == expected, "{posts} posts arrived, expected {expected}");
        Ok(())
    }
}

impl State {
    /// Reads requests and follows the script after each.
    async fn serve(&self, mut stream: impl AsyncRead + AsyncWrite + Unpin) -> io::Result<()> {
        let mut buffer = BytesMut::new();
        loop {
            let arrival = Arrival::read(&mut stream, &mut buffer).await?;
            let acts = self.acts(arrival);
            for act in &*acts {
                match act {
                    Act::Send(bytes) => self.send(&mut stream, bytes).await?,
                    Act::Repeat(bytes, pause) => loop {
                        self.send(&mut stream, bytes).await?;
                        wait(*pause).await;
                    },
                    Act::Wait(time) => wait(*time).await,
                    Act::Meet(barrier) => {
                        barrier.wait().await;
                    }
                    Act::HangUp => return stream.shutdown().await,
                    Act::Vanish => return Ok(()),
                }
            }
        }
    }

    /// Counts a request; returns the script's acts for it.
    fn acts(&self, arrival: Arrival) -> Arc<[Act]> {
        let bytes = (arrival.head.len() + arrival.body.len()) as u64;
        self.bytes_received.fetch_add(bytes, Ordering::SeqCst);
        let number = self.posts.fetch_add(1, Ordering::SeqCst) + 1;
        let acts = lock(&self.script).acts(number, &arrival);
        if self.keeps_arrivals {
            lock(&self.arrivals).push(arrival);
        }
        acts
    }

    async fn send(&self, stream: &mut (impl AsyncWrite + Unpin), bytes: &[u8]) -> io::Result<()> {
        stream.write_all(bytes).await?;
        stream.flush().await?;
        self.bytes_sent.fetch_add(bytes.len() as u64, Ordering::SeqCst);
        Ok(())
    }
}

/// Returns at once for zero, where a sleep would take until the timer's next tick.
async fn wait(time: Duration) {
    if !time.is_zero() {
        sleep(time).await;
    }
}

/// A port on 127.0.0.1 that refuses every connection. It is bound, so no other program gets it, but not listening.
#[derive(Debug)]
pub struct ClosedPort(TcpSocket);

impl ClosedPort {
    /// Reserves a free port until this is dropped.
    #[expect(clippy::new_without_default, reason = "it reserves a port")]
    #[must_use]
    pub fn new() -> Self {
        let socket = TcpSocket::new_v4().expect("a socket can be created");
        socket.bind((Ipv4Addr::LOCALHOST, 0).into()).expect("a port is free");
        Self(socket)
    }

    /// An http URL with this port.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}/", self.0.local_addr().expect("the socket is bound"))
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncReadExt as _;
    use tokio::net::TcpStream;

    use super::*;

    const POST: &str =
        "POST /hook HTTP/1.1\r\nx-docintell-delivery: 7\r\ncontent-length: 4\r\n\r\nbody";

    /// The responses until the receiver hangs up.
    async fn responses(receiver: &Receiver, requests: &str) -> String {
        let mut stream = TcpStream::connect(receiver.address()).await.unwrap();
        stream.write_all(requests.as_bytes()).await.unwrap();
        let mut responses = String::new();
        stream.read_to_string(&mut responses).await.unwrap();
        responses
    }

    #[tokio::test]
    async fn requests_are_kept_and_answered_by_their_number() {
        let script = by_number(|number| match number {
            1 => status(500),
            _ => [answer(200, &[("a", "b")], b"c"), vec![Act::HangUp]].concat(),
        });
        let receiver = Receiver::start(script).await;
        let expected = "HTTP/1.1 500 Test\r\nContent-Length: 0\r\n\r\n\
                        HTTP/1.1 200 Test\r\na: b\r\nContent-Length: 1\r\n\r\nc";
        assert_eq!(responses(&receiver, &POST.repeat(2)).await, expected);
        let arrivals = receiver.wait_for(2).await;
        for arrival in &arrivals {
            assert_eq!(
                (arrival.request_line(), arrival.target()),
                ("POST /hook HTTP/1.1", "/hook")
            );
            assert_eq!(arrival.header("X-DocIntell-Delivery"), "7");
            assert_eq!(arrival.text(), "body");
        }
        assert_eq!((arrivals.len(), receiver.connections()), (2, 1));
    }

    #[tokio::test]
    async fn a_counting_receiver_counts_requests_and_their_bytes() {
        let receiver = Receiver::counting(answer_and_close(200), None).await;
        for _ in 0..2 {
            assert!(responses(&receiver, POST).await.contains("Connection: close"));
        }
        assert!(receiver.take_posts(1).is_err());
        responses(&receiver, POST).await;
        assert_eq!(receiver.take(), (1, 3 * POST.len() as u64 - 2 * POST.len() as u64));
        assert_eq!(receiver.arrivals().len(), 0);
    }
}
