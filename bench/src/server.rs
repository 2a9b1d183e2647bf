//! HTTP/1.1 servers on 127.0.0.1: the Runtime API, the AWS endpoints and the receivers are such.
//!
//! The rule: a server costs as little as a library's can, since it runs beside what is measured, and it
//! ends when it is dropped.

use std::convert::Infallible;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use anyhow::{Context as _, Result};
use http_body_util::{BodyExt as _, Collected, Full};
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::task::{JoinHandle, JoinSet};
use tokio_rustls::TlsAcceptor;

/// What a server answers.
pub type Answer = Response<Full<Bytes>>;

/// A server that is up.
#[derive(Debug)]
pub struct Server {
    address: SocketAddr,
    task: JoinHandle<()>,
}

impl Server {
    /// Serves what `handler` answers to each request, over TLS where there is an acceptor.
    pub async fn start<H, F>(tls: Option<TlsAcceptor>, handler: H) -> Result<Self>
    where
        H: Fn(Request<Bytes>) -> F + Send + Sync + 'static,
        F: Future<Output = Answer> + Send,
    {
        let listener =
            TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.context("no port is free")?;
        let address = listener.local_addr().context("the port is unknown")?;
        let handler = Arc::new(handler);
        let task = tokio::spawn(async move {
            // Dropped, and every connection with it, when this task is aborted.
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                while connections.try_join_next().is_some() {}
                let (tls, handler) = (tls.clone(), Arc::clone(&handler));
                connections.spawn(async move {
                    // An answer that waits for the next one's acknowledgement would be measured too.
                    if stream.set_nodelay(true).is_err() {
                        return;
                    }
                    match tls {
                        None => serve(stream, handler).await,
                        // A handshake that fails is the client's to report.
                        Some(tls) => match tls.accept(stream).await {
                            Ok(stream) => serve(stream, handler).await,
                            Err(_refused) => {}
                        },
                    }
                });
            }
        });
        Ok(Self { address, task })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve<H, F>(stream: impl AsyncRead + AsyncWrite + Unpin, handler: Arc<H>)
where
    H: Fn(Request<Bytes>) -> F,
    F: Future<Output = Answer>,
{
    let service = service_fn(|request: Request<Incoming>| async {
        let (head, body) = request.into_parts();
        // A body that breaks off leaves nobody to answer to.
        let body = body.collect().await.map(Collected::to_bytes).unwrap_or_default();
        Ok::<_, Infallible>(handler(Request::from_parts(head, body)).await)
    });
    // However a connection ends, the client's side is the one that is looked at.
    let mut connection = http1::Builder::new();
    connection.auto_date_header(false);
    drop(connection.serve_connection(TokioIo::new(stream), service).await);
}
