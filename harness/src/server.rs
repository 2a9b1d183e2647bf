//! Servers on 127.0.0.1, for HTTP/1.1 or for raw connections.
//!
//! The rule: a server costs as little as possible, because it runs during measurements. Dropping it closes its
//! connections.

use std::convert::Infallible;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use http_body_util::{BodyExt as _, Collected, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};

pub(crate) type Answer = Response<Full<Bytes>>;

#[derive(Debug)]
pub(crate) struct Server {
    address: SocketAddr,
    connections: Arc<AtomicUsize>,
    task: JoinHandle<()>,
}

impl Server {
    /// Runs `serve` on each connection.
    pub(crate) async fn start<F>(serve: impl Fn(TcpStream) -> F + Send + 'static) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a port is free");
        let address = listener.local_addr().expect("the listener is bound");
        let connections = Arc::new(AtomicUsize::new(0));
        let accepted = Arc::clone(&connections);
        let task = tokio::spawn(async move {
            let mut open = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                accepted.fetch_add(1, Ordering::SeqCst);
                while open.try_join_next().is_some() {}
                // An answer must not wait for the client to acknowledge the previous one.
                if stream.set_nodelay(true).is_ok() {
                    open.spawn(serve(stream));
                }
            }
        });
        Self { address, connections, task }
    }

    /// Calls `answer` for each HTTP request.
    pub(crate) async fn http<F>(
        answer: impl Fn(Request<Bytes>) -> F + Send + Sync + 'static,
    ) -> Self
    where
        F: Future<Output = Answer> + Send + 'static,
    {
        let answer = Arc::new(answer);
        Self::start(move |stream| serve_http(stream, Arc::clone(&answer))).await
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Number of accepted connections.
    pub(crate) fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve_http<F>(stream: TcpStream, answer: Arc<impl Fn(Request<Bytes>) -> F>)
where
    F: Future<Output = Answer>,
{
    let service = service_fn(|request: Request<Incoming>| async {
        let (head, body) = request.into_parts();
        // If the body ends early, the client is gone and reads no answer.
        let body = body.collect().await.map(Collected::to_bytes).unwrap_or_default();
        Ok::<_, Infallible>(answer(Request::from_parts(head, body)).await)
    });
    let mut connection = http1::Builder::new();
    connection.auto_date_header(false);
    // Tests and measurements check the client's side, so a connection may end with any error.
    drop(connection.serve_connection(TokioIo::new(stream), service).await);
}

pub(crate) fn answer(status: StatusCode, body: impl Into<Bytes>) -> Answer {
    let mut answer = Response::new(Full::new(body.into()));
    *answer.status_mut() = status;
    answer
}
