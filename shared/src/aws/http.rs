//! The HTTP client under the AWS SDK.
//!
//! The SDK's own client reads the machine's certificate files at startup and includes HTTP/2, a second proxy
//! resolver and hooks that we do not use. This client is the same library without them.

use std::sync::{Arc, LazyLock};
use std::time::Duration;

use aws_smithy_runtime_api::client::connection::{CaptureSmithyConnection, ConnectionMetadata};
use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpClient,
    SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_runtime_api::http::Response;
use aws_smithy_types::body::SdkBody;
use hyper::body::Body;
use hyper_rustls::HttpsConnector;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::{
    CaptureConnection, HttpConnector as TcpConnector, capture_connection,
};
use hyper_util::rt::{TokioExecutor, TokioTimer};
use rustls::ClientConfig;

use crate::tls;

/// Shared by all connections to AWS, so that the certificate authorities are loaded once.
static TLS: LazyLock<Arc<ClientConfig>> =
    LazyLock::new(|| Arc::new(tls::client(tls::public_authorities())));

/// Connects over TLS, or over plain TCP if the endpoint URL is `http`.
type Connector = HttpsConnector<TcpConnector>;
pub(crate) type PooledClient<B> = Client<Connector, B>;

fn connector(timeout: Duration) -> Connector {
    let mut tcp = TcpConnector::new();
    tcp.set_nodelay(true);
    tcp.set_connect_timeout(Some(timeout));
    // The TLS connector around it accepts both `http` and `https`.
    tcp.enforce_http(false);
    HttpsConnector::from((tcp, Arc::clone(&TLS)))
}

/// A client for any SDK service.
pub(super) fn client(connect_timeout: Duration, idle_life: Duration) -> SharedHttpClient {
    SharedHttpClient::new(Http(pooled(connect_timeout, idle_life)))
}

/// A client that connects within `connect_timeout` and closes connections that are idle for `idle_life`.
pub(crate) fn pooled<B>(connect_timeout: Duration, idle_life: Duration) -> PooledClient<B>
where
    B: Body + Send,
    B::Data: Send,
{
    Client::builder(TokioExecutor::new())
        .pool_timer(TokioTimer::new())
        .pool_idle_timeout(idle_life)
        .build(connector(connect_timeout))
}

#[derive(Debug, Clone)]
struct Http(PooledClient<SdkBody>);

impl HttpClient for Http {
    /// Ignores the timeouts in the settings, because the SDK limits each try as a whole.
    fn http_connector(
        &self,
        _settings: &HttpConnectorSettings,
        _components: &RuntimeComponents,
    ) -> SharedHttpConnector {
        SharedHttpConnector::new(self.clone())
    }
}

impl HttpConnector for Http {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let mut request = match request.try_into_http1x() {
            Ok(request) => request,
            Err(error) => {
                return HttpConnectorFuture::ready(Err(ConnectorError::user(error.into())));
            }
        };
        let connection = capture_connection(&mut request);
        if let Some(capture) = request.extensions().get::<CaptureSmithyConnection>() {
            capture.set_connection_retriever(move || Some(closable(&connection)));
        }
        let response = self.0.request(request);
        HttpConnectorFuture::new(async move {
            // An error here is an error of the connection, so the SDK retries it.
            let response = response.await.map_err(|error| ConnectorError::io(error.into()))?;
            Response::try_from(response.map(SdkBody::from_body_1_x))
                .map_err(|error| ConnectorError::other(error.into(), None))
        })
    }
}

/// Lets the SDK close a connection after a server error, so that the next try reaches another server.
fn closable(connection: &CaptureConnection) -> ConnectionMetadata {
    let connection = connection.clone();
    let close = move || {
        if let Some(connected) = connection.connection_metadata().as_ref() {
            connected.poison();
        }
    };
    ConnectionMetadata::builder().proxied(false).poison_fn(close).build()
}

#[cfg(test)]
mod tests {
    use aws_sdk_dynamodb::Client as DynamoDbClient;
    use serde_json::json;
    use tokio::time::sleep;

    use super::*;
    use crate::aws::test_server::{TestServer, refusal, success};

    #[tokio::test]
    async fn a_connection_is_reused_until_it_is_idle_for_too_long() {
        let idle_life = Duration::from_millis(500);
        let server = TestServer::start([success(json!({}))]).await;
        let client = Http(pooled(Duration::from_secs(1), idle_life));
        let call = async || {
            let request = HttpRequest::get(&server.endpoint).unwrap();
            let mut response = client.call(request).await.unwrap();
            let body = std::mem::replace(response.body_mut(), SdkBody::empty());
            http_body_util::BodyExt::collect(body).await.unwrap();
            server.connections()
        };
        assert_eq!((call().await, call().await), (1, 1));
        sleep(idle_life + Duration::from_millis(100)).await;
        assert_eq!(call().await, 2);
    }

    #[tokio::test]
    async fn a_retry_after_a_server_error_uses_a_new_connection() {
        let server =
            TestServer::start([refusal(500, "InternalServerError"), success(json!({}))]).await;
        let client = DynamoDbClient::new(&server.sdk());
        client.list_tables().send().await.unwrap();
        assert_eq!((server.received().len(), server.connections()), (2, 2));
        client.list_tables().send().await.unwrap();
        assert_eq!((server.received().len(), server.connections()), (3, 2));
    }
}
