//! An endpoint over a raw socket, so that it can misbehave in every way that TCP, TLS and HTTP allow.
//!
//! The rule: it reads each request whole, keeps it byte for byte, and then does what its script says.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::BufStream;
use tokio::io::{
    AsyncBufReadExt as _, AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _,
};
use tokio::net::{TcpListener, TcpSocket};
use tokio::sync::Barrier;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{Instant, sleep};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;

/// A misbehaving endpoint on loopback; it ends when it is dropped, and its connections with it.
#[derive(Debug)]
pub struct Receiver {
    address: SocketAddr,
    seen: Arc<Seen>,
    server: JoinHandle<()>,
}

/// A port on loopback that refuses every connection: it is bound, so that nobody else is given it, and does
/// not listen.
#[derive(Debug)]
pub struct ClosedPort(TcpSocket);

impl ClosedPort {
    /// Takes a free port and keeps it until it is dropped.
    pub fn new() -> Self {
        let socket = TcpSocket::new_v4().expect("a socket can be made");
        socket.bind((Ipv4Addr::LOCALHOST, 0).into()).expect("a port is free");
        Self(socket)
    }

    /// A URL over http that leads there.
    pub fn url(&self) -> String {
        format!("http://{}/", self.0.local_addr().expect("it is bound"))
    }
}

/// One request as it came.
#[derive(Debug, Clone)]
pub struct Arrival {
    /// When its last byte was read.
    pub at: Instant,
    /// Method, target and version.
    pub request_line: String,
    /// Name and value of each header, as they were written.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
}

/// What the receiver does after a request, one act after the other; then it reads the next request.
#[derive(Debug, Clone)]
pub enum Act {
    /// Sends bytes.
    Send(Vec<u8>),
    /// Sends bytes over and over, with a pause after each time, until the other side hangs up.
    Repeat(Vec<u8>, Duration),
    /// Does nothing for a while.
    Wait(Duration),
    /// Does nothing until so many requests have arrived.
    Meet(Arc<Barrier>),
    /// Closes the connection.
    HangUp,
    /// Lets go of the connection: over TLS without the alert that would close it.
    Vanish,
}

#[derive(Debug, Default)]
struct Seen {
    script: Mutex<Vec<Act>>,
    arrivals: Mutex<Vec<Arrival>>,
    connections: AtomicUsize,
    bytes_sent: AtomicU64,
}

/// An answer without a body.
pub fn status(code: u16) -> Vec<Act> {
    answer(code, &[], b"")
}

/// An answer with further headers and a body, on a connection that stays open.
pub fn answer(code: u16, headers: &[(&str, &str)], body: &[u8]) -> Vec<Act> {
    let lines = headers.iter().map(|(name, value)| [name, ": ", value, "\r\n"].concat());
    let lines: String = lines.collect();
    let head = format!("HTTP/1.1 {code} Told\r\n{lines}Content-Length: {}\r\n\r\n", body.len());
    vec![Act::Send([head.as_bytes(), body].concat())]
}

/// The same answer, given late.
pub fn after(wait: Duration, answer: Vec<Act>) -> Vec<Act> {
    [vec![Act::Wait(wait)], answer].concat()
}

impl Receiver {
    /// An endpoint over http.
    pub async fn start(script: Vec<Act>) -> Self {
        Self::listen(script, None).await
    }

    /// An endpoint over https.
    pub async fn start_tls(script: Vec<Act>, config: ServerConfig) -> Self {
        Self::listen(script, Some(TlsAcceptor::from(Arc::new(config)))).await
    }

    async fn listen(script: Vec<Act>, tls: Option<TlsAcceptor>) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a port is free");
        let address = listener.local_addr().expect("it is bound");
        let seen = Arc::new(Seen { script: script.into(), ..Seen::default() });
        let server = tokio::spawn(serve(listener, tls, Arc::clone(&seen)));
        Self { address, seen, server }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its URL over http.
    pub fn url(&self) -> String {
        format!("http://{}/webhooks/docintell", self.address)
    }

    /// From now on requests are met with `script`.
    pub fn now(&self, script: Vec<Act>) {
        *self.seen.script.lock().expect("no connection panics") = script;
    }

    /// Every request so far.
    pub fn arrivals(&self) -> Vec<Arrival> {
        self.seen.arrivals.lock().expect("no connection panics").clone()
    }

    /// How many connections it has accepted.
    pub fn connections(&self) -> usize {
        self.seen.connections.load(Ordering::SeqCst)
    }

    /// How many bytes it could write before the other side hung up.
    pub fn bytes_sent(&self) -> u64 {
        self.seen.bytes_sent.load(Ordering::SeqCst)
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.server.abort();
    }
}

impl Arrival {
    /// A header's value; empty where there is none.
    pub fn header(&self, name: &str) -> &str {
        let found = self.headers.iter().find(|(it, _)| it.eq_ignore_ascii_case(name));
        found.map_or("", |(_, value)| value)
    }
}

async fn serve(listener: TcpListener, tls: Option<TlsAcceptor>, seen: Arc<Seen>) {
    // Dropped, and every connection with it, when this task is aborted.
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        seen.connections.fetch_add(1, Ordering::SeqCst);
        let (tls, seen) = (tls.clone(), Arc::clone(&seen));
        connections.spawn(async move {
            // However a connection ends, it is the sender's side that the tests look at.
            drop(match tls {
                Some(tls) => match tls.accept(stream).await {
                    Ok(stream) => talk(stream, &seen).await,
                    Err(error) => Err(error),
                },
                None => talk(stream, &seen).await,
            });
        });
    }
}

async fn talk(stream: impl AsyncRead + AsyncWrite + Unpin, seen: &Seen) -> io::Result<()> {
    let mut stream = BufStream::new(stream);
    loop {
        let arrival = read_request(&mut stream).await?;
        seen.arrivals.lock().expect("no connection panics").push(arrival);
        let script = seen.script.lock().expect("no connection panics").clone();
        for act in script {
            match act {
                Act::Send(bytes) => send(&mut stream, &bytes, seen).await?,
                Act::Repeat(bytes, pause) => loop {
                    send(&mut stream, &bytes, seen).await?;
                    sleep(pause).await;
                },
                Act::Wait(wait) => sleep(wait).await,
                Act::Meet(barrier) => {
                    barrier.wait().await;
                }
                Act::HangUp => return stream.shutdown().await,
                Act::Vanish => return Ok(()),
            }
        }
    }
}

async fn send(stream: &mut (impl AsyncWrite + Unpin), bytes: &[u8], seen: &Seen) -> io::Result<()> {
    stream.write_all(bytes).await?;
    stream.flush().await?;
    seen.bytes_sent.fetch_add(bytes.len() as u64, Ordering::SeqCst);
    Ok(())
}

async fn read_request(
    stream: &mut BufStream<impl AsyncRead + AsyncWrite + Unpin>,
) -> io::Result<Arrival> {
    let request_line = read_line(stream).await?;
    let mut headers = Vec::new();
    loop {
        let line = read_line(stream).await?;
        let Some((name, value)) = line.split_once(": ") else { break };
        headers.push((name.to_owned(), value.to_owned()));
    }
    let mut arrival = Arrival { at: Instant::now(), request_line, headers, body: Vec::new() };
    arrival.body.resize(arrival.header("content-length").parse().unwrap_or(0), 0);
    stream.read_exact(&mut arrival.body).await?;
    arrival.at = Instant::now();
    Ok(arrival)
}

async fn read_line(
    stream: &mut BufStream<impl AsyncRead + AsyncWrite + Unpin>,
) -> io::Result<String> {
    let mut line = String::new();
    match stream.read_line(&mut line).await? {
        0 => Err(io::ErrorKind::UnexpectedEof.into()),
        _ => Ok(line.trim_end().to_owned()),
    }
}
