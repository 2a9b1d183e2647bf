//! `BatchGetItem` and `BatchWriteItem` without the SDK. Through the SDK alone a sender makes little more than half as
//! many deliveries; `docs/decisions/http-clients.md` has the figures.
//!
//! The rule: libraries do the work. `aws-sigv4` signs, hyper-util keeps connections, `serde_dynamo` reads and writes
//! items. A method makes one request; its caller retries.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, SystemTime};

use aws_sdk_dynamodb::config::ProvideCredentials as _;
use aws_sdk_dynamodb::config::endpoint::{DefaultResolver, Params, ResolveEndpoint as _};
use aws_sdk_dynamodb::config::timeout::TimeoutConfig;
use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningSettings, sign};
use aws_sigv4::sign::v4::SigningParams;
use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_types::DateTime;
use aws_smithy_types::date_time::Format;
use aws_types::SdkConfig;
use bytes::Bytes;
use futures_util::FutureExt as _;
use http_body_util::{BodyExt as _, Full};
use hyper::Request;
use hyper::header::{CONTENT_TYPE, DATE, HeaderValue};
use serde::{Deserialize, Serialize};
use serde_dynamo::Item;
use tokio::time::timeout;

use super::batch::BatchError;
use crate::aws::http::{PooledClient, pooled};
use crate::aws::retry::is_retryable_code;
use crate::aws::{AwsError, IDLE_LIFE, MAX_TRIES, TRY_TIMEOUT};

#[derive(Debug, Clone)]
pub(super) struct BatchClient {
    http: PooledClient<Full<Bytes>>,
    sdk: SdkConfig,
    /// Time limit of one try.
    try_timeout: Duration,
    /// Time limit of one call, retries included.
    pub(super) call_timeout: Duration,
    /// `None` if the SDK knows no endpoint for the region.
    endpoint: Option<String>,
    /// AWS's clock minus ours, in seconds, as of AWS's last error response.
    skew_seconds: Arc<AtomicI64>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Keys<T> {
    #[serde(default)]
    consistent_read: bool,
    keys: T,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Write<T> {
    put_request: Put<T>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Put<T> {
    item: T,
}

/// The response body of either operation.
#[derive(Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
struct Output {
    responses: HashMap<String, Vec<Item>>,
    unprocessed_keys: HashMap<String, Keys<Vec<Item>>>,
    unprocessed_items: HashMap<String, Vec<Write<Item>>>,
}

/// The body of an error response, with a type like `com.amazonaws.dynamodb.v20120810#ThrottlingException`.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Refusal {
    #[serde(rename = "__type")]
    kind: String,
    #[serde(alias = "Message")]
    message: String,
}

impl BatchClient {
    /// Uses the region, endpoint, credentials and time limits of `sdk`.
    pub(super) fn new(sdk: &SdkConfig) -> Self {
        let limits = sdk.timeout_config();
        let try_timeout = limits.and_then(TimeoutConfig::operation_attempt_timeout);
        let try_timeout = try_timeout.unwrap_or(TRY_TIMEOUT);
        let call_timeout = limits.and_then(TimeoutConfig::operation_timeout);
        Self {
            http: pooled(try_timeout, IDLE_LIFE),
            sdk: sdk.clone(),
            try_timeout,
            call_timeout: call_timeout.unwrap_or(try_timeout * MAX_TRIES),
            endpoint: endpoint(sdk),
            skew_seconds: Arc::default(),
        }
    }

    /// Reads up to 100 items with strong consistency. Returns the items and the unprocessed keys.
    pub(super) async fn batch_get(
        &self,
        table: &str,
        keys: &[Item],
    ) -> Result<(Vec<Item>, Vec<Item>), BatchError> {
        let output = self.call("BatchGetItem", table, Keys { consistent_read: true, keys }).await?;
        let unprocessed = output.unprocessed_keys.into_values().flat_map(|it| it.keys);
        Ok((output.responses.into_values().flatten().collect(), unprocessed.collect()))
    }

    /// Puts up to 25 items, no two with the same key. Returns the unprocessed items.
    pub(super) async fn batch_write(
        &self,
        table: &str,
        items: &[Item],
    ) -> Result<Vec<Item>, BatchError> {
        let puts: Vec<_> = items.iter().map(|item| Write { put_request: Put { item } }).collect();
        let output = self.call("BatchWriteItem", table, puts).await?;
        let unprocessed = output.unprocessed_items.into_values().flatten();
        Ok(unprocessed.map(|write| write.put_request.item).collect())
    }

    async fn call(
        &self,
        operation: &'static str,
        table: &str,
        request: impl Serialize,
    ) -> Result<Output, BatchError> {
        let failure = |is_retryable: bool, source: BoxError, request_id: Option<&HeaderValue>| {
            let request_id = request_id.and_then(|id| id.to_str().ok()).map(str::to_owned);
            BatchError::Failed { error: AwsError { operation, request_id, source }, is_retryable }
        };
        let input = HashMap::from([("RequestItems", HashMap::from([(table, request)]))]);
        let request = self.signed(operation, serde_json::to_vec(&input)).await;
        let request = request.map_err(|error| failure(false, error, None))?;
        let exchange = async {
            let (head, body) = self.http.request(request).await?.into_parts();
            Ok::<_, BoxError>((head, body.collect().await?.to_bytes()))
        };
        let exchange = timeout(self.try_timeout, exchange).await.map_err(Into::into).flatten();
        let (head, body) = exchange.map_err(|error| failure(true, error, None))?;
        let request_id = head.headers.get("x-amzn-requestid");
        if head.status.is_success() {
            let output = serde_json::from_slice(&body);
            return output.map_err(|error| failure(true, error.into(), request_id));
        }
        self.correct_clock(head.headers.get(DATE));
        let Refusal { kind, message } = serde_json::from_slice(&body).unwrap_or_default();
        let code = kind.rsplit('#').next().unwrap_or_default();
        let is_retryable = head.status.is_server_error() || is_retryable_code(code);
        let text = format!("{} {code}: {message}", head.status);
        Err(failure(is_retryable, text.into(), request_id))
    }

    async fn signed(
        &self,
        operation: &str,
        body: serde_json::Result<Vec<u8>>,
    ) -> Result<Request<Full<Bytes>>, BoxError> {
        let endpoint = self.endpoint.as_ref().ok_or("no endpoint for DynamoDB")?;
        let region = self.sdk.region().ok_or("no region")?;
        let credentials = self.sdk.credentials_provider().ok_or("no credentials")?;
        let identity = credentials.provide_credentials().await?.into();
        let now = DateTime::from(SystemTime::now()).secs();
        let params = SigningParams::builder()
            .identity(&identity)
            .region(region.as_ref())
            .name("dynamodb")
            .time(DateTime::from_secs(now + self.skew_seconds.load(Ordering::Relaxed)).try_into()?)
            .settings(SigningSettings::default())
            .build()?
            .into();
        let (body, target) = (body?, format!("DynamoDB_20120810.{operation}"));
        let headers =
            [(CONTENT_TYPE.as_str(), "application/x-amz-json-1.0"), ("x-amz-target", &target)];
        let signable = SignableBody::Bytes(&body);
        let signable = SignableRequest::new("POST", endpoint, headers.into_iter(), signable)?;
        let (signature, _) = sign(signable, &params)?.into_parts();
        let request = headers
            .into_iter()
            .fold(Request::post(endpoint), |request, (name, value)| request.header(name, value));
        let mut request = request.body(Full::from(body))?;
        signature.apply_to_request_http1x(&mut request);
        Ok(request)
    }

    fn correct_clock(&self, date: Option<&HeaderValue>) {
        let date = date.and_then(|date| date.to_str().ok());
        if let Some(date) = date.and_then(|it| DateTime::from_str(it, Format::HttpDate).ok()) {
            let skew = date.secs() - DateTime::from(SystemTime::now()).secs();
            self.skew_seconds.store(skew, Ordering::Relaxed);
        }
    }
}

/// The URL that the SDK would call.
fn endpoint(sdk: &SdkConfig) -> Option<String> {
    let params = Params::builder()
        .set_region(sdk.region().map(ToString::to_string))
        .set_endpoint(sdk.endpoint_url().map(str::to_owned))
        .build()
        .ok()?;
    let endpoint = DefaultResolver::new().resolve_endpoint(&params).now_or_never()?.ok()?;
    Some(endpoint.url().to_owned())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::aws::config_for;
    use crate::aws::test_server::{Received, TestServer, credentials, success};

    /// The `Authorization` header that a received request should have.
    fn authorization(Received { headers, bytes, .. }: &Received) -> String {
        let value = |name: &'static str| (name, headers[name].to_str().unwrap());
        let (_, date) = value("x-amz-date");
        let [year, month, day] = [&date[..4], &date[4..6], &date[6..8]];
        let [hour, minute, second] = [&date[9..11], &date[11..13], &date[13..15]];
        let time = format!("{year}-{month}-{day}T{hour}:{minute}:{second}Z");
        let time = DateTime::from_str(&time, Format::DateTime).unwrap();
        let identity = credentials().into();
        let params = SigningParams::builder()
            .identity(&identity)
            .region("eu-central-1")
            .name("dynamodb")
            .time(time.try_into().unwrap())
            .settings(SigningSettings::default())
            .build()
            .unwrap()
            .into();
        let sent = ["host", "content-type", "x-amz-target"].map(value).into_iter();
        let url = format!("http://{}/", value("host").1);
        let signable = SignableRequest::new("POST", url, sent, SignableBody::Bytes(bytes));
        let (signature, _) = sign(signable.unwrap(), &params).unwrap().into_parts();
        let mut headers = signature.headers();
        headers.find(|(name, _)| *name == "authorization").unwrap().1.to_owned()
    }

    #[tokio::test]
    async fn what_arrives_is_what_was_signed() {
        let server = TestServer::start([success(json!({}))]).await;
        let client = BatchClient::new(&server.sdk());
        let item: Item = serde_json::from_value(json!({"id": {"S": "é"}})).unwrap();
        client.batch_get("T", std::slice::from_ref(&item)).await.unwrap();
        client.batch_write("T", &[item]).await.unwrap();
        let requests = server.received();
        for (request, operation) in requests.iter().zip(["BatchGetItem", "BatchWriteItem"]) {
            let target = format!("DynamoDB_20120810.{operation}");
            assert_eq!(request.headers["x-amz-target"], target);
            assert_eq!(request.headers["x-amz-security-token"], "a session's token");
            assert_eq!(request.headers["authorization"], authorization(request));
        }
        assert_eq!((requests.len(), server.connections()), (2, 1));
    }

    #[test]
    fn the_endpoint_is_the_regions_own_unless_another_is_named() {
        for (region, named, url) in [
            ("eu-central-1", None, "https://dynamodb.eu-central-1.amazonaws.com"),
            ("cn-north-1", None, "https://dynamodb.cn-north-1.amazonaws.com.cn"),
            ("eu-central-1", Some("http://127.0.0.1:4566"), "http://127.0.0.1:4566"),
        ] {
            let sdk = config_for(region.to_owned(), credentials(), named.map(str::to_owned));
            assert_eq!(endpoint(&sdk).as_deref(), Some(url));
        }
    }
}
