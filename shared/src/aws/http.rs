//! The HTTP client under the AWS SDK.
//!
//! The SDK's own reads the machine's certificate files at start and carries HTTP/2, a second proxy
//! resolver and hooks that nobody here uses; this one is the same library without them.

use std::sync::{Arc, LazyLock};
use std::time::Duration;

use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpClient,
    SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_runtime_api::http::Response;
use aws_smithy_types::body::SdkBody;
use hyper_rustls::HttpsConnector;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector as TcpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use rustls::ClientConfig;

use crate::tls;

/// For all connections to AWS, so that the authorities are loaded once.
static TLS: LazyLock<Arc<ClientConfig>> =
    LazyLock::new(|| Arc::new(tls::client(tls::public_authorities())));

/// Makes connections to AWS, over TLS unless an emulator is called without.
pub(super) type Connector = HttpsConnector<TcpConnector>;

/// Connections that are made within `timeout`.
pub(super) fn connector(timeout: Duration) -> Connector {
    let mut tcp = TcpConnector::new();
    tcp.set_nodelay(true);
    tcp.set_connect_timeout(Some(timeout));
    // The TLS around it decides.
    tcp.enforce_http(false);
    HttpsConnector::from((tcp, Arc::clone(&TLS)))
}

/// A client for every service, whose connections are made within `connect_timeout` and kept.
#[must_use]
pub fn client(connect_timeout: Duration) -> SharedHttpClient {
    let client = Client::builder(TokioExecutor::new())
        .pool_timer(TokioTimer::new())
        .build(connector(connect_timeout));
    SharedHttpClient::new(Http(client))
}

#[derive(Debug, Clone)]
struct Http(Client<Connector, SdkBody>);

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
        let request = match request.try_into_http1x() {
            Ok(request) => request,
            Err(error) => {
                return HttpConnectorFuture::ready(Err(ConnectorError::user(error.into())));
            }
        };
        let answer = self.0.request(request);
        HttpConnectorFuture::new(async move {
            // Whatever goes wrong here is the connection's fault, and worth the SDK's next try.
            let answer = answer.await.map_err(|error| ConnectorError::io(error.into()))?;
            Response::try_from(answer.map(SdkBody::from_body_1_x))
                .map_err(|error| ConnectorError::other(error.into(), None))
        })
    }
}
