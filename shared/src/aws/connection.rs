//! A connection to one AWS endpoint, kept from call to call.
//!
//! A pool would choose between hosts and count connections; the calls that come here go to one host, one after
//! the other.

use std::error::Error;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::{Request, StatusCode, Uri};
use tower_service::Service as _;

use super::TRY_TIMEOUT;
use super::http::{Connector, connector};

/// Short, because an execution environment that was frozen wakes up with a connection that is dead.
const IDLE_LIFE: Duration = Duration::from_secs(5);

type Open = SendRequest<Full<Bytes>>;

/// Carries HTTP/1.1 requests to one endpoint.
#[derive(Debug, Clone)]
pub(super) struct Connection {
    connector: Connector,
    endpoint: Uri,
    /// What the last request has left open, and when; another that comes while one is under way opens its own.
    idle: Arc<Mutex<Option<(Open, Instant)>>>,
}

impl Connection {
    /// To `endpoint`, once there is a request.
    pub(super) fn new(endpoint: Uri) -> Self {
        Self { connector: connector(TRY_TIMEOUT), endpoint, idle: Arc::default() }
    }

    /// Sends `request` and reads the answer whole.
    pub(super) async fn exchange(
        &self,
        request: Request<Full<Bytes>>,
    ) -> Result<(StatusCode, Bytes), Box<dyn Error + Send + Sync>> {
        let mut open = match self.idle().await {
            Some(open) => open,
            None => self.open().await?,
        };
        let answer = open.send_request(request).await?;
        let status = answer.status();
        let body = answer.into_body().collect().await?.to_bytes();
        *self.kept() = Some((open, Instant::now()));
        Ok((status, body))
    }

    /// The connection that was left open, unless that is too long ago or it has been closed since.
    async fn idle(&self) -> Option<Open> {
        let kept = self.kept().take();
        let (mut open, _) = kept.filter(|(_, since)| since.elapsed() < IDLE_LIFE)?;
        open.ready().await.ok().map(|()| open)
    }

    async fn open(&self) -> Result<Open, Box<dyn Error + Send + Sync>> {
        let stream = self.connector.clone().call(self.endpoint.clone()).await?;
        let (open, connection) = handshake(stream).await?;
        // It ends with the last request's half; what it ends with, that half is told too.
        tokio::spawn(async { drop(connection.await) });
        Ok(open)
    }

    fn kept(&self) -> MutexGuard<'_, Option<(Open, Instant)>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::{TcpListener, TcpStream};
    use tokio::sync::oneshot;
    use tokio::time::sleep;

    use super::*;

    /// Answers `count` requests on one connection, which stays open.
    async fn serve(listener: &TcpListener, count: usize) -> io::Result<TcpStream> {
        let (mut stream, _) = listener.accept().await?;
        for number in 1..=count {
            let mut request = [0; 1000];
            assert!(stream.read(&mut request).await? > 0);
            let answer = format!("HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\n{number}");
            stream.write_all(answer.as_bytes()).await?;
        }
        Ok(stream)
    }

    async fn answer(connection: &Connection) -> Bytes {
        let (status, body) = connection.exchange(Request::default()).await.unwrap();
        assert_eq!(status, StatusCode::OK);
        body
    }

    #[tokio::test]
    async fn a_connection_is_kept_until_it_is_closed_and_then_another_is_made() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let connection = Connection::new(endpoint.parse().unwrap());
        let (closed, is_closed) = oneshot::channel();
        let server = tokio::spawn(async move {
            drop(serve(&listener, 2).await.unwrap());
            closed.send(()).unwrap();
            serve(&listener, 1).await.unwrap();
        });

        assert_eq!(answer(&connection).await, "1");
        assert_eq!(answer(&connection).await, "2");
        is_closed.await.unwrap();
        // The end of a connection is read by a task of its own.
        sleep(Duration::from_millis(50)).await;
        assert_eq!(answer(&connection).await, "1");
        server.await.unwrap();
    }

    #[tokio::test]
    async fn a_connection_that_was_idle_for_long_is_not_used_again() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let connection = Connection::new(endpoint.parse().unwrap());
        let server = tokio::spawn(async move {
            let mut first = serve(&listener, 1).await.unwrap();
            assert_eq!(first.read(&mut [0]).await.unwrap(), 0, "it is closed from the other end");
            serve(&listener, 1).await.unwrap();
        });

        assert_eq!(answer(&connection).await, "1");
        if let Some((_, since)) = &mut *connection.kept() {
            *since -= IDLE_LIFE;
        }
        assert_eq!(answer(&connection).await, "1");
        server.await.unwrap();
    }
}
