//! The HTTP client under the AWS SDK.
//!
//! The SDK's own reads the machine's certificate files at start and carries HTTP/2, a second proxy
//! resolver and hooks that nobody here uses; this one is the same library without them.

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

/// For all connections to AWS, so that the authorities are loaded once.
static TLS: LazyLock<Arc<ClientConfig>> =
    LazyLock::new(|| Arc::new(tls::client(tls::public_authorities())));

/// Makes connections to AWS, over TLS unless the endpoint is plain http.
type Connector = HttpsConnector<TcpConnector>;
pub(crate) type PooledClient<B> = Client<Connector, B>;

fn connector(timeout: Duration) -> Connector {
    let mut tcp = TcpConnector::new();
    tcp.set_nodelay(true);
    tcp.set_connect_timeout(Some(timeout));
    // The TLS around it decides.
    tcp.enforce_http(false);
    HttpsConnector::from((tcp, Arc::clone(&TLS)))
}

/// A client for every service of the SDK's.
pub(super) fn client(connect_timeout: Duration, idle_life: Duration) -> SharedHttpClient {
    SharedHttpClient::new(Http(pooled(connect_timeout, idle_life)))
}

/// A client whose connections are made within `connect_timeout` and kept while they are idle for less than
/// `idle_life`.
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
    /// The timeouts in the settings are kept above, by the SDK, for each try as a whole.
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
        let answer = self.0.request(request);
        HttpConnectorFuture::new(async move {
            // Whatever goes wrong here is the connection's fault, and worth the SDK's next try.
            let answer = answer.await.map_err(|error| ConnectorError::io(error.into()))?;
            Response::try_from(answer.map(SdkBody::from_body_1_x))
                .map_err(|error| ConnectorError::other(error.into(), None))
        })
    }
}

/// With this the SDK closes a connection after a server's error, so that the next try goes to another server.
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
    async fn a_connection_is_reused_until_it_has_been_idle_for_its_life() {
        let idle_life = Duration::from_millis(500);
        let server = TestServer::start([success(json!({}))]).await;
        let client = Http(pooled(Duration::from_secs(1), idle_life));
        let call = async || {
            let request = HttpRequest::get(&server.endpoint).unwrap();
            let mut answer = client.call(request).await.unwrap();
            let body = std::mem::replace(answer.body_mut(), SdkBody::empty());
            http_body_util::BodyExt::collect(body).await.unwrap();
            server.connections()
        };
        assert_eq!((call().await, call().await), (1, 1));
        sleep(idle_life + Duration::from_millis(100)).await;
        assert_eq!(call().await, 2);
    }
    #[tokio::test]
    async fn the_try_after_a_servers_error_is_made_on_another_connection() {
        let server =
            TestServer::start([refusal(500, "InternalServerError"), success(json!({}))]).await;
        let client = DynamoDbClient::new(&server.sdk());
        client.list_tables().send().await.unwrap();
        assert_eq!((server.received().len(), server.connections()), (2, 2));
        client.list_tables().send().await.unwrap();
        assert_eq!((server.received().len(), server.connections()), (3, 2));
    }
}
