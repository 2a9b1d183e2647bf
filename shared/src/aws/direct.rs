//! DynamoDB without the SDK, for the two calls that every batch of deliveries makes.
//!
//! Called through the SDK, the two take 40 % of a delivery's processor time. This signs and posts JSON that its
//! caller has written, on one kept connection. It keeps to the SDK's limits: 1 s per try, 3 s in all,
//! 2 retries.

use std::error::Error;

use aws_sdk_dynamodb::config::endpoint::{DefaultResolver, Params, ResolveEndpoint};
use aws_sdk_dynamodb::config::{
    Credentials, ProvideCredentials as _, Region, SharedCredentialsProvider,
};
use aws_types::SdkConfig;
use bytes::Bytes;
use futures_util::FutureExt as _;
use http_body_util::Full;
use hyper::header::{AUTHORIZATION, HeaderName, InvalidHeaderValue};
use hyper::http::uri::Authority;
use hyper::{Method, Request, StatusCode, Uri};
use tokio::time::{sleep, timeout};
use tracing::debug;

use super::connection::Connection;
use super::sigv4::{Signable, date_time};
use super::{AwsError, CALL_TIMEOUT, FIRST_BACKOFF, MAX_TRIES, TRY_TIMEOUT, random_part};
use crate::text::first_chars;
use crate::timestamp::Timestamp;

/// Of an answer that is no success so much is told, in characters.
const MAX_TOLD: usize = 300;
/// The errors of status 400 after which another try is worth it.
const THROTTLED: [&str; 3] =
    ["ProvisionedThroughputExceededException", "RequestLimitExceeded", "ThrottlingException"];

/// Makes calls of DynamoDB.
#[derive(Debug, Clone)]
pub struct Direct {
    connection: Connection,
    /// The endpoint's name, and its port where one is given.
    host: Authority,
    /// The endpoint's path, which is all of it that a request line has.
    target: Uri,
    region: Region,
    credentials: SharedCredentialsProvider,
}

/// Why no call can be made at all.
#[derive(Debug, thiserror::Error)]
#[error("the AWS configuration has no {0}")]
pub struct NotConfigured(&'static str);

/// Why a try did not succeed.
#[derive(Debug, thiserror::Error)]
enum TryError {
    #[error("no answer within {} s", TRY_TIMEOUT.as_secs())]
    Timeout,
    #[error("the request failed")]
    Http(#[source] Box<dyn Error + Send + Sync>),
    #[error("{status}: {answer}")]
    Refused { status: StatusCode, answer: String },
    #[error("there are no credentials")]
    Credentials(#[source] Box<dyn Error + Send + Sync>),
    #[error("the credentials cannot be sent")]
    Unsendable(#[from] InvalidHeaderValue),
}

impl TryError {
    /// Whether the same call may succeed a moment later.
    fn may_pass(&self) -> bool {
        match self {
            Self::Timeout | Self::Http(_) => true,
            Self::Refused { status, answer } => {
                status.is_server_error() || THROTTLED.iter().any(|kind| answer.contains(kind))
            }
            Self::Credentials(_) | Self::Unsendable(_) => false,
        }
    }
}

impl Direct {
    /// For the region, the endpoint and the credentials that the SDK would use.
    pub fn new(sdk: &SdkConfig) -> Result<Self, NotConfigured> {
        let region = sdk.region().ok_or(NotConfigured("region"))?.clone();
        let credentials = sdk.credentials_provider().ok_or(NotConfigured("credentials"))?;
        let (endpoint, host, target) =
            endpoint(sdk).ok_or(NotConfigured("endpoint for DynamoDB"))?;
        Ok(Self { connection: Connection::new(endpoint), host, target, region, credentials })
    }

    /// Calls `operation` with the JSON `body`; the JSON of the answer.
    pub(crate) async fn call(
        &self,
        operation: &'static str,
        body: Bytes,
    ) -> Result<Bytes, AwsError> {
        let tries = async {
            let mut tried = 1;
            loop {
                match self.try_once(operation, body.clone()).await {
                    Err(error) if error.may_pass() && tried < MAX_TRIES => {
                        debug!(operation, %error, "trying again");
                        sleep(random_part(FIRST_BACKOFF * 2_u32.pow(tried - 1))).await;
                        tried += 1;
                    }
                    result => return result,
                }
            }
        };
        let result = timeout(CALL_TIMEOUT, tries).await.unwrap_or(Err(TryError::Timeout));
        result.map_err(AwsError::of(operation))
    }

    async fn try_once(&self, operation: &str, body: Bytes) -> Result<Bytes, TryError> {
        let credentials = self.credentials.provide_credentials().await;
        let credentials = credentials.map_err(|error| TryError::Credentials(error.into()))?;
        let request = self.request(operation, body, &credentials, Timestamp::now())?;
        match timeout(TRY_TIMEOUT, self.connection.exchange(request)).await {
            Ok(Ok((StatusCode::OK, answer))) => Ok(answer),
            Ok(Ok((status, answer))) => {
                let answer = String::from_utf8_lossy(&answer);
                let answer = first_chars(&answer, MAX_TOLD).to_owned();
                Err(TryError::Refused { status, answer })
            }
            Ok(Err(error)) => Err(TryError::Http(error)),
            Err(_elapsed) => Err(TryError::Timeout),
        }
    }

    fn request(
        &self,
        operation: &str,
        body: Bytes,
        credentials: &Credentials,
        at: Timestamp,
    ) -> Result<Request<Full<Bytes>>, InvalidHeaderValue> {
        let target = format!("DynamoDB_20120810.{operation}");
        let at = date_time(at);
        let mut signed = vec![
            ("content-type", "application/x-amz-json-1.0"),
            ("host", self.host.as_str()),
            ("x-amz-date", &at),
            ("x-amz-target", &target),
        ];
        if let Some(token) = credentials.session_token() {
            signed.insert(3, ("x-amz-security-token", token));
        }
        let signable = Signable {
            at: &at,
            region: self.region.as_ref(),
            service: "dynamodb",
            path: self.target.path(),
            headers: &signed,
            body: &body,
        };
        let authorization =
            signable.authorization(credentials.access_key_id(), credentials.secret_access_key());
        let mut request = Request::new(Full::new(body));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = self.target.clone();
        let headers = request.headers_mut();
        headers.insert(AUTHORIZATION, authorization.try_into()?);
        for (name, value) in signed {
            headers.insert(HeaderName::from_static(name), value.try_into()?);
        }
        Ok(request)
    }
}

/// Where the SDK's own rules say that the region's DynamoDB is; of that the host and the path.
fn endpoint(sdk: &SdkConfig) -> Option<(Uri, Authority, Uri)> {
    let params = Params::builder()
        .set_region(sdk.region().map(ToString::to_string))
        .set_endpoint(sdk.endpoint_url().map(str::to_owned))
        .build()
        .ok()?;
    let resolver = DefaultResolver::new();
    let endpoint = ResolveEndpoint::resolve_endpoint(&resolver, &params).now_or_never()?.ok()?;
    let endpoint: Uri = endpoint.url().parse().ok()?;
    // What is no whole URL, or names a user, would be found out by the first call only.
    let host = endpoint.scheme().and(endpoint.authority())?.clone();
    let target = endpoint.path().parse().ok()?;
    (!host.as_str().contains('@')).then_some((endpoint, host, target))
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime};

    use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningSettings, sign};
    use aws_sigv4::sign::v4::SigningParams;
    use hyper::header::HOST;

    use super::*;
    use crate::aws::config_for;

    const BODY: &[u8] = b"{}";

    fn credentials(token: Option<&str>) -> Credentials {
        let token = token.map(str::to_owned);
        Credentials::new("AKIDEXAMPLE", "wJalrXUtnFEMI", token, None, "test")
    }

    fn direct(region: &str, endpoint_url: Option<&str>) -> Direct {
        let url = endpoint_url.map(str::to_owned);
        Direct::new(&config_for(region.to_owned(), credentials(None), url)).unwrap()
    }

    /// What AWS's own library signs a request with that has these headers.
    fn authorization(
        request: &Request<Full<Bytes>>,
        credentials: &Credentials,
        at: Timestamp,
    ) -> String {
        let identity = credentials.clone().into();
        let params = SigningParams::builder()
            .identity(&identity)
            .region("eu-central-1")
            .name("dynamodb")
            .time(SystemTime::UNIX_EPOCH + Duration::from_millis(at.unix_millis()))
            .settings(SigningSettings::default())
            .build()
            .unwrap()
            .into();
        let headers = request.headers().iter().filter(|(name, _)| *name != AUTHORIZATION);
        let headers = headers.map(|(name, value)| (name.as_str(), value.to_str().unwrap()));
        let url = format!("https://{}{}", request.headers()[HOST].to_str().unwrap(), request.uri());
        let signable = SignableRequest::new("POST", url, headers, SignableBody::Bytes(BODY));
        let (signed, _) = sign(signable.unwrap(), &params).unwrap().into_parts();
        let mut headers = signed.headers();
        headers.find(|(name, _)| *name == "authorization").unwrap().1.to_owned()
    }

    #[test]
    fn a_request_is_signed_as_aws_own_library_signs_it() {
        let at = Timestamp::from_unix_millis(1_764_757_800_123);
        for url in [None, Some("http://127.0.0.1:4566"), Some("https://proxy.example/a/b")] {
            for token in [None, Some("a session's token")] {
                let credentials = credentials(token);
                let request = direct("eu-central-1", url)
                    .request("BatchGetItem", Bytes::from_static(BODY), &credentials, at)
                    .unwrap();
                let theirs = authorization(&request, &credentials, at);
                assert_eq!(request.headers()[AUTHORIZATION], theirs, "{url:?} {token:?}");
            }
        }
    }

    #[test]
    fn the_endpoint_is_the_regions_own_unless_another_is_named() {
        for (region, named, url, host) in [
            (
                "eu-central-1",
                None,
                "https://dynamodb.eu-central-1.amazonaws.com/",
                "dynamodb.eu-central-1.amazonaws.com",
            ),
            (
                "cn-north-1",
                None,
                "https://dynamodb.cn-north-1.amazonaws.com.cn/",
                "dynamodb.cn-north-1.amazonaws.com.cn",
            ),
            (
                "eu-central-1",
                Some("http://127.0.0.1:4566"),
                "http://127.0.0.1:4566/",
                "127.0.0.1:4566",
            ),
        ] {
            let sdk = config_for(region.to_owned(), credentials(None), named.map(str::to_owned));
            let (endpoint, authority, target) = endpoint(&sdk).unwrap();
            assert_eq!((endpoint.to_string().as_str(), authority.as_str()), (url, host));
            assert_eq!(target, "/");
        }
    }

    #[test]
    fn an_endpoint_that_cannot_be_called_is_found_out_at_the_start() {
        for url in ["localhost:4566", "http://user:password@localhost:4566", "/path"] {
            let url = Some(url.to_owned());
            let config = config_for("eu-central-1".to_owned(), credentials(None), url);
            assert!(Direct::new(&config).is_err(), "{config:?}");
        }
    }

    #[test]
    fn a_throttled_call_and_a_broken_service_are_worth_another_try_and_a_wrong_call_is_not() {
        let refused = |status: u16, kind: &str| TryError::Refused {
            status: StatusCode::from_u16(status).unwrap(),
            answer: format!(r#"{{"__type":"com.amazonaws.dynamodb.v20120810#{kind}"}}"#),
        };
        assert!(refused(400, "ProvisionedThroughputExceededException").may_pass());
        assert!(refused(500, "InternalServerError").may_pass());
        assert!(refused(503, "ServiceUnavailable").may_pass());
        assert!(!refused(400, "ResourceNotFoundException").may_pass());
        assert!(!refused(400, "AccessDeniedException").may_pass());
    }
}
