//! HTTP/1.1 on connections that are kept from one request to the next, to AWS and to endpoints alike.
//!
//! The rule: a request is sent once. It goes to another connection only when none of it has left yet; what
//! follows from a failure is decided where attempts are counted. Nothing follows redirects, asks a proxy or adds
//! a header but `Content-Length`.

use std::collections::VecDeque;
use std::error::Error;
use std::fmt;
use std::mem;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::http::uri::PathAndQuery;
use hyper::{Request, StatusCode, Uri};
use hyper_rustls::{HttpsConnector, MaybeHttpsStream};
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use tokio::net::TcpStream;
use tower_service::Service;

/// Short, because an execution environment that was frozen wakes up with connections that are dead.
const IDLE_LIFE: Duration = Duration::from_secs(5);
/// Connections that are kept at most; at one more the oldest is closed. An execution environment may have
/// 1,024 files open.
const MAX_KEPT: usize = 100;

type BoxError = Box<dyn Error + Send + Sync>;
/// What a connector connects.
type Stream = MaybeHttpsStream<TokioIo<TcpStream>>;
type Connect = Arc<dyn Fn(Uri) -> BoxFuture<'static, Result<Stream, BoxError>> + Send + Sync>;

/// Makes connections, keeps them after use, and sends requests on them.
#[derive(Clone)]
pub struct Connections {
    connect: Connect,
    /// The oldest first.
    kept: Arc<Mutex<VecDeque<Connection>>>,
}

/// A connection and the URI whose scheme and authority it was made for.
struct Connection {
    origin: Uri,
    sender: SendRequest<Full<Bytes>>,
    idle_since: Instant,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum SendError {
    /// No connection could be made.
    #[error("no connection could be made")]
    Connect(#[source] BoxError),
    /// The connection broke, or what came is not HTTP.
    #[error("the exchange failed")]
    Exchange(#[from] hyper::Error),
}

/// Makes connections through `tcp`, and over TLS to `https`.
#[must_use]
pub fn connector<R>(
    mut tcp: HttpConnector<R>,
    tls: Arc<ClientConfig>,
) -> HttpsConnector<HttpConnector<R>> {
    tcp.set_nodelay(true);
    // The TLS around it decides.
    tcp.enforce_http(false);
    HttpsConnector::from((tcp, tls))
}

impl Connections {
    /// None yet; they will be made by `connector`.
    pub fn new<C>(connector: C) -> Self
    where
        C: Service<Uri, Response = Stream, Error: Into<BoxError>, Future: Send + 'static>,
        C: Clone + Send + Sync + 'static,
    {
        let connect = move |uri| {
            let connecting = connector.clone().call(uri);
            connecting.map(|connected| connected.map_err(Into::into)).boxed()
        };
        Self { connect: Arc::new(connect), kept: Arc::default() }
    }

    /// Sends a request to its URI's host; the answer's body is still to be read. The header `Host` is
    /// the caller's to set.
    pub async fn send(&self, request: Request<Bytes>) -> Result<Response<'_>, SendError> {
        let mut request = request.map(Full::new);
        let path = request.uri().path_and_query().cloned();
        // A server expects the path alone.
        let path = path.unwrap_or_else(|| PathAndQuery::from_static("/"));
        let origin = mem::replace(request.uri_mut(), path.into());
        while let Some(mut connection) = self.take(&origin) {
            match connection.sender.try_send_request(request).await {
                Ok(head) => return Ok(Response { head, connection, connections: self }),
                Err(mut failed) => match failed.take_message() {
                    // It was closed in the meantime, before anything of the request was sent.
                    Some(unsent) => request = unsent,
                    None => return Err(failed.into_error().into()),
                },
            }
        }
        let stream = (self.connect)(origin.clone()).await.map_err(SendError::Connect)?;
        let (mut sender, connection) = handshake(stream).await?;
        // It ends with the sender; what it ends with, the sender is told too.
        tokio::spawn(async { drop(connection.await) });
        let head = sender.send_request(request).await?;
        let connection = Connection { origin, sender, idle_since: Instant::now() };
        Ok(Response { head, connection, connections: self })
    }

    /// The connection to `origin` that was used last, if there is one.
    fn take(&self, origin: &Uri) -> Option<Connection> {
        let mut kept = self.kept();
        let expired = kept.iter().take_while(|it| it.idle_since.elapsed() >= IDLE_LIFE).count();
        kept.drain(..expired);
        let at = kept.iter().rposition(|it| it.goes_to(origin))?;
        kept.remove(at)
    }

    fn keep(&self, mut connection: Connection) {
        connection.idle_since = Instant::now();
        let mut kept = self.kept();
        if kept.len() >= MAX_KEPT {
            kept.pop_front();
        }
        kept.push_back(connection);
    }

    fn kept(&self) -> MutexGuard<'_, VecDeque<Connection>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Connections {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connections").field("kept", &self.kept().len()).finish_non_exhaustive()
    }
}

impl Connection {
    fn goes_to(&self, origin: &Uri) -> bool {
        self.origin.authority() == origin.authority() && self.origin.scheme() == origin.scheme()
    }
}

/// An answer whose body is still to be read. Dropped before that, it closes its connection.
pub struct Response<'a> {
    head: hyper::Response<Incoming>,
    connection: Connection,
    connections: &'a Connections,
}

impl Response<'_> {
    /// The status.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        self.head.status()
    }

    /// Reads the body, and its connection is kept. Of a body that has `limit` bytes or more so many are
    /// read, and the connection is closed.
    pub async fn body(mut self, limit: usize) -> Result<Vec<u8>, SendError> {
        let mut body = Vec::new();
        while let Some(frame) = self.head.frame().await {
            let Ok(data) = frame?.into_data() else { continue };
            let room = limit - body.len();
            body.extend_from_slice(&data[..data.len().min(room)]);
            if data.len() >= room {
                return Ok(body);
            }
        }
        self.connections.keep(self.connection);
        Ok(body)
    }
}

impl fmt::Debug for Response<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Response").field("status", &self.status()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use hyper_util::client::legacy::connect::dns::GaiResolver;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpListener;
    use tokio::sync::oneshot;
    use tokio::task::JoinHandle;
    use tokio::time::sleep;

    use super::*;
    use crate::tls;

    /// A server that says which connection a request came on, and how many came on it before.
    struct Server {
        listener: TcpListener,
        connections: usize,
    }

    impl Server {
        async fn start() -> (Self, Request<Bytes>) {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let uri = format!("http://{}/path?query", listener.local_addr().unwrap());
            let request = Request::post(uri).body(Bytes::new()).unwrap();
            (Self { listener, connections: 0 }, request)
        }

        /// Answers `count` requests on the next connection, which stays open.
        async fn serve(&mut self, count: usize) -> io::Result<TcpStream> {
            let (mut stream, _) = self.listener.accept().await?;
            self.connections += 1;
            for number in 1..=count {
                let mut request = [0; 1000];
                let length = stream.read(&mut request).await?;
                assert!(request[..length].starts_with(b"POST /path?query HTTP/1.1\r\n"));
                let answer = format!(
                    "HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\n{}/{number}",
                    self.connections
                );
                stream.write_all(answer.as_bytes()).await?;
            }
            Ok(stream)
        }
    }

    fn connections() -> Connections {
        let tls = Arc::new(tls::client(tls::public_authorities()));
        Connections::new(connector(HttpConnector::new_with_resolver(GaiResolver::new()), tls))
    }

    async fn answer(connections: &Connections, request: &Request<Bytes>) -> Vec<u8> {
        let response = connections.send(request.clone()).await.unwrap();
        assert_eq!(response.status(), StatusCode::OK);
        response.body(usize::MAX).await.unwrap()
    }

    #[tokio::test]
    async fn a_connection_is_kept_until_it_is_closed_and_then_another_is_made() {
        let (mut server, request) = Server::start().await;
        let connections = connections();
        let (closed, is_closed) = oneshot::channel();
        let server = tokio::spawn(async move {
            drop(server.serve(2).await.unwrap());
            closed.send(()).unwrap();
            server.serve(1).await.unwrap()
        });

        assert_eq!(answer(&connections, &request).await, b"1/1");
        assert_eq!(answer(&connections, &request).await, b"1/2");
        is_closed.await.unwrap();
        // The end of a connection is read by a task of its own.
        sleep(Duration::from_millis(50)).await;
        assert_eq!(answer(&connections, &request).await, b"2/1");
        server.await.unwrap();
    }

    #[tokio::test]
    async fn a_connection_that_was_idle_for_long_is_not_used_again() {
        let (mut server, request) = Server::start().await;
        let connections = connections();
        let server = tokio::spawn(async move {
            let mut first = server.serve(1).await.unwrap();
            assert_eq!(first.read(&mut [0]).await.unwrap(), 0, "it is closed from the other end");
            server.serve(1).await.unwrap()
        });

        assert_eq!(answer(&connections, &request).await, b"1/1");
        for connection in &mut *connections.kept() {
            connection.idle_since -= IDLE_LIFE;
        }
        assert_eq!(answer(&connections, &request).await, b"2/1");
        server.await.unwrap();
    }

    #[tokio::test]
    async fn an_answer_is_read_to_the_limit_and_its_connection_is_not_used_again() {
        let (mut server, request) = Server::start().await;
        let connections = connections();
        let server: JoinHandle<io::Result<_>> = tokio::spawn(async move {
            let first = server.serve(1).await?;
            server.serve(1).await?;
            Ok(first)
        });

        let response = connections.send(request.clone()).await.unwrap();
        assert_eq!(response.body(2).await.unwrap(), b"1/");
        assert_eq!(answer(&connections, &request).await, b"2/1");
        server.await.unwrap().unwrap();
    }

    #[tokio::test]
    async fn a_host_gets_no_connection_that_was_made_for_another() {
        let (mut one, to_one) = Server::start().await;
        let (mut other, to_other) = Server::start().await;
        let connections = connections();
        let servers = tokio::spawn(async move { (one.serve(2).await, other.serve(1).await) });

        assert_eq!(answer(&connections, &to_one).await, b"1/1");
        let (to_other, to_one) =
            tokio::join!(async { answer(&connections, &to_other).await }, async {
                answer(&connections, &to_one).await
            },);
        assert_eq!((to_one.as_slice(), to_other.as_slice()), (&b"1/2"[..], &b"1/1"[..]));
        servers.await.unwrap().0.unwrap();
    }

    #[tokio::test]
    async fn no_more_connections_are_kept_than_100() {
        let connections = connections();
        let mut servers = Vec::new();
        for _ in 0..=MAX_KEPT {
            let (mut server, request) = Server::start().await;
            servers.push(tokio::spawn(async move { server.serve(1).await.unwrap() }));
            answer(&connections, &request).await;
        }
        assert_eq!(connections.kept().len(), MAX_KEPT);
        let mut oldest = servers.remove(0).await.unwrap();
        assert_eq!(oldest.read(&mut [0]).await.unwrap(), 0, "it is closed");
    }
}
