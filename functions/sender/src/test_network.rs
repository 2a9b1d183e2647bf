//! DNS answers and endpoints for the tests of this crate.

use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::FutureExt as _;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::time::timeout;
use webhooks::endpoint::EndpointPolicy;
use webhooks::resolve::{Lookup, ResolveError};

/// A resolver that returns each answer once, in order.
pub(crate) fn answers(list: &[&[&str]]) -> Lookup {
    let parse = |answer: &&[&str]| answer.iter().map(|text| text.parse().unwrap()).collect();
    let answers: Mutex<Vec<Vec<IpAddr>>> = Mutex::new(list.iter().rev().map(parse).collect());
    Arc::new(move |_| {
        let answer = answers.lock().unwrap().pop().unwrap_or_default();
        async move { Ok(answer) }.boxed()
    })
}

/// The resolver's error, if it caused `error`.
pub(crate) fn refusal<'a>(
    error: &'a (dyn std::error::Error + 'static),
) -> Option<&'a ResolveError> {
    std::iter::successors(Some(error), |error| error.source())
        .find_map(|error| error.downcast_ref())
}

/// Allows http to this machine.
pub(crate) fn loopback() -> EndpointPolicy {
    let allowed_networks = ["127.0.0.0/8", "::1/128"].map(|net| net.parse().unwrap()).into();
    EndpointPolicy { allow_http: true, allowed_networks, ..EndpointPolicy::default() }
}

/// Pairs of this machine's loopback addresses: macOS has no 127.0.0.2, and a container may have no IPv6.
pub(crate) fn pairs() -> Vec<[&'static str; 2]> {
    let is_here = |address: &&str| std::net::TcpListener::bind((*address, 0)).is_ok();
    let mut pairs = vec![["127.0.0.2", "127.0.0.1"], ["::1", "127.0.0.1"], ["127.0.0.1", "::1"]];
    pairs.retain(|pair| pair.iter().all(is_here));
    assert!(!pairs.is_empty(), "this machine has no second loopback address");
    pairs
}

/// A port that is free on both addresses, and a socket bound to it on each.
pub(crate) fn two_sockets(addresses: [&str; 2]) -> (u16, [TcpSocket; 2]) {
    let addresses = addresses.map(|text| text.parse::<IpAddr>().unwrap());
    let socket = |address: IpAddr, port| {
        let socket =
            if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }.unwrap();
        socket.bind(SocketAddr::new(address, port)).map(|()| socket)
    };
    loop {
        let first = socket(addresses[0], 0).unwrap();
        let port = first.local_addr().unwrap().port();
        if let Ok(second) = socket(addresses[1], port) {
            return (port, [first, second]);
        }
    }
}

/// Answers every request with a 200 and keeps the connections open.
pub(crate) fn serve(socket: TcpSocket) {
    let listener = socket.listen(16).unwrap();
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            tokio::spawn(async move {
                let mut request = [0; 4096];
                while let Ok(1..) = stream.read(&mut request).await {
                    let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n";
                    stream.write_all(answer).await.unwrap();
                }
            });
        }
    });
}

/// Fills the socket's accept queue, so that further connections wait until the result is dropped.
pub(crate) async fn be_silent(socket: TcpSocket) -> (TcpListener, Vec<TcpStream>) {
    let listener = socket.listen(1).unwrap();
    let address = listener.local_addr().unwrap();
    let mut waiting = Vec::new();
    while let Ok(stream) = timeout(Duration::from_millis(200), TcpStream::connect(address)).await {
        waiting.push(stream.unwrap());
    }
    (listener, waiting)
}
