//! A connection to one AWS endpoint, kept from call to call.
//!
//! A pool would choose between hosts and count connections; the calls that come here go to one host, one after
//! the other.

use std::error::Error;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::{Request, StatusCode, Uri};
use tower_service::Service as _;

use super::TRY_TIMEOUT;
use super::http::{Connector, connector};

type Open = SendRequest<Full<Bytes>>;

/// Carries HTTP/1.1 requests to one endpoint.
#[derive(Debug, Clone)]
pub(super) struct Connection {
    connector: Connector,
    endpoint: Uri,
    /// What the last request has left open; another that comes while one is under way opens its own.
    idle: Arc<Mutex<Option<Open>>>,
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
        *self.kept() = Some(open);
        Ok((status, body))
    }

    /// The connection that was left open, unless it has been closed since.
    async fn idle(&self) -> Option<Open> {
        let mut open = self.kept().take()?;
        open.ready().await.ok().map(|()| open)
    }

    async fn open(&self) -> Result<Open, Box<dyn Error + Send + Sync>> {
        let stream = self.connector.clone().call(self.endpoint.clone()).await?;
        let (open, connection) = handshake(stream).await?;
        // It ends with the last request's half; what it ends with, that half is told too.
        tokio::spawn(async { drop(connection.await) });
        Ok(open)
    }

    fn kept(&self) -> MutexGuard<'_, Option<Open>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::{TcpListener, TcpStream};

    use super::*;

    /// Answers `count` requests on one connection, says with the last answer that it closes, and does.
    async fn serve(listener: &TcpListener, count: usize) -> io::Result<()> {
        let (mut stream, _): (TcpStream, _) = listener.accept().await?;
        for left in (0..count).rev() {
            let mut request = [0; 1000];
            assert!(stream.read(&mut request).await? > 0);
            let after = if left == 0 { "close" } else { "keep-alive" };
            let head = format!("HTTP/1.1 200 OK\r\nconnection: {after}\r\ncontent-length: 2\r\n");
            stream.write_all(format!("{head}\r\n{left}\n").as_bytes()).await?;
        }
        Ok(())
    }

    #[tokio::test]
    async fn a_connection_is_kept_until_it_is_closed_and_then_another_is_made() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let server = tokio::spawn(async move {
            serve(&listener, 2).await?;
            serve(&listener, 1).await
        });

        let connection = Connection::new(endpoint.parse().unwrap());
        for expected in ["1\n", "0\n", "0\n"] {
            let (status, body) = connection.exchange(Request::default()).await.unwrap();
            assert_eq!((status, &*body), (StatusCode::OK, expected.as_bytes()));
        }
        server.await.unwrap().unwrap();
    }
}
