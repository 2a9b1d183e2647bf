//! An endpoint over a raw socket, so that it can misbehave in every way that TCP, TLS and HTTP allow.
//!
//! The rule: it reads each request whole and then does what its script says. It keeps requests byte for
//! byte, or only counts them for a measured run.

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

/// An endpoint on loopback; it ends when it is dropped, and its connections with it.
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
    /// An endpoint over http that keeps every request.
    pub async fn start(script: impl Into<Script>) -> Self {
        Self::listen("http://127.0.0.1", script.into(), None, true).await
    }

    /// An endpoint over https that keeps every request; see [`Authority`](crate::Authority).
    pub async fn start_tls(script: impl Into<Script>, tls: TlsAcceptor) -> Self {
        Self::listen("https://127.0.0.1", script.into(), Some(tls), true).await
    }

    /// An endpoint that only counts requests. Its URL has a host name, so that each new connection has to
    /// resolve it.
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
                // However a connection ends, it is the sender's side that is looked at.
                drop(match tls {
                    Some(tls) => match tls.accept(stream).await {
                        Ok(stream) => state.talk(stream).await,
                        Err(error) => Err(error),
                    },
                    None => state.talk(stream).await,
                });
            }
        })
        .await;
        Self { server, origin, state }
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.server.address()
    }

    /// Its URL.
    #[must_use]
    pub fn url(&self) -> String {
        format!("{}:{}/webhooks/docintell", self.origin, self.address().port())
    }

    /// From now on does what `script` says.
    pub fn now(&self, script: impl Into<Script>) {
        *lock(&self.state.script) = script.into();
    }

    /// Every request so far.
    #[must_use]
    pub fn arrivals(&self) -> Vec<Arrival> {
        lock(&self.state.arrivals).clone()
    }

    /// The requests, once there are at least `count`.
    pub async fn wait_for(&self, count: usize) -> Vec<Arrival> {
        eventually(&format!("request {count} at the receiver"), async || {
            Some(self.arrivals()).filter(|arrivals| arrivals.len() >= count)
        })
        .await
    }

    /// How many connections it has accepted.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.server.connections()
    }

    /// How many bytes it could write before the other side hung up.
    #[must_use]
    pub fn bytes_sent(&self) -> u64 {
        self.state.bytes_sent.load(Ordering::SeqCst)
    }

    /// Requests since the last call of this, and their bytes.
    #[must_use]
    pub fn take(&self) -> (u64, u64) {
        let taken = |count: &AtomicU64| count.swap(0, Ordering::SeqCst);
        (taken(&self.state.posts), taken(&self.state.bytes_received))
    }

    /// Checks that exactly `expected` requests came since the last call: a rate of posts that did not arrive
    /// would mean nothing.
    pub fn take_posts(&self, expected: u64) -> Result<()> {
        let (posts, _) = self.take();
        ensure!(posts == expected, "{posts} posts arrived where {expected} were expected");
        Ok(())
    }
}

impl State {
    /// Reads requests and follows the script after each.
    async fn talk(&self, mut stream: impl AsyncRead + AsyncWrite + Unpin) -> io::Result<()> {
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

    /// Counts a request; what to do about it.
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

/// Skips a sleep of no time, which would end only with the timer's next tick.
async fn wait(time: Duration) {
    if !time.is_zero() {
        sleep(time).await;
    }
}

/// A port on loopback that refuses every connection: it is bound, so that nobody else is given it, and does
/// not listen.
#[derive(Debug)]
pub struct ClosedPort(TcpSocket);

impl ClosedPort {
    /// Takes a free port and keeps it until it is dropped.
    #[expect(clippy::new_without_default, reason = "it takes something from the system")]
    #[must_use]
    pub fn new() -> Self {
        let socket = TcpSocket::new_v4().expect("a socket can be made");
        socket.bind((Ipv4Addr::LOCALHOST, 0).into()).expect("a port is free");
        Self(socket)
    }

    /// A URL over http that leads there.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}/", self.0.local_addr().expect("it is bound"))
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncReadExt as _;
    use tokio::net::TcpStream;

    use super::*;

    const POST: &str =
        "POST /hook HTTP/1.1\r\nx-docintell-delivery: 7\r\ncontent-length: 4\r\n\r\nbody";

    /// What comes back until the receiver hangs up.
    async fn told(receiver: &Receiver, requests: &str) -> String {
        let mut stream = TcpStream::connect(receiver.address()).await.unwrap();
        stream.write_all(requests.as_bytes()).await.unwrap();
        let mut told = String::new();
        stream.read_to_string(&mut told).await.unwrap();
        told
    }

    #[tokio::test]
    async fn requests_are_kept_byte_for_byte_and_met_by_their_number() {
        let script = by_number(|number| match number {
            1 => status(500),
            _ => [answer(200, &[("a", "b")], b"c"), vec![Act::HangUp]].concat(),
        });
        let receiver = Receiver::start(script).await;
        let expected = "HTTP/1.1 500 Told\r\nContent-Length: 0\r\n\r\n\
                        HTTP/1.1 200 Told\r\na: b\r\nContent-Length: 1\r\n\r\nc";
        assert_eq!(told(&receiver, &POST.repeat(2)).await, expected);
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
    async fn requests_that_are_only_counted_are_as_large_as_they_are_written() {
        let receiver = Receiver::counting(answer_and_close(200), None).await;
        for _ in 0..2 {
            assert!(told(&receiver, POST).await.contains("Connection: close"));
        }
        assert!(receiver.take_posts(1).is_err());
        told(&receiver, POST).await;
        assert_eq!(receiver.take(), (1, 3 * POST.len() as u64 - 2 * POST.len() as u64));
        assert_eq!(receiver.arrivals().len(), 0);
    }
}
