//! The AWS SDK works with the fake AWS.

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::config::Credentials;
use aws_sdk_dynamodb::error::ProvideErrorMetadata as _;
use aws_sdk_dynamodb::types::{AttributeValue, KeysAndAttributes, PutRequest, WriteRequest};
use harness::fixtures::{TENANT, id_of, webhook};
use harness::{FakeAws, Reply};

#[tokio::test]
async fn the_sdk_understands_the_fakes_batches_and_errors() {
    let hooks = [webhook("https://one.example/"), webhook("https://two.example/")];
    let aws = FakeAws::with_webhooks(&hooks[..1]).await;
    let credentials = Credentials::new("test", "test", None, None, "test");
    let config = webhooks::aws::config_for("eu".to_owned(), credentials, Some(aws.endpoint()));
    let client = Client::new(&config);

    let text = |text: &str| AttributeValue::S(text.to_owned());
    let key = |hook| {
        let key = [("tenant_id", TENANT), ("webhook_config_id", id_of(hook))];
        key.map(|(name, value)| (name.to_owned(), text(value))).into()
    };
    let keys = KeysAndAttributes::builder().set_keys(Some(hooks.iter().map(key).collect()));
    let keys = keys.consistent_read(true).build().expect("there are keys");
    let read = client.batch_get_item().request_items("WebhookConfigs", keys).send();
    let read = read.await.expect("the call succeeds");
    let rows = &read.responses().expect("there are responses")["WebhookConfigs"];
    assert_eq!((rows.len(), &rows[0]["url"]), (1, &text("https://one.example/")));
    assert!(read.unprocessed_keys().is_none_or(std::collections::HashMap::is_empty));

    let write = async || {
        let put = PutRequest::builder().item("delivery_id", text("d")).build().expect("an item");
        let puts = vec![WriteRequest::builder().put_request(put).build()];
        client.batch_write_item().request_items("Deliveries", puts).send().await
    };
    let written = write().await.expect("the call succeeds");
    assert!(written.unprocessed_items().is_none_or(std::collections::HashMap::is_empty));
    assert_eq!(aws.logged()[0]["delivery_id"], "d");
    aws.always("BatchWriteItem", Reply::Refused("ResourceNotFoundException"));
    let error = write().await.expect_err("the call fails");
    assert_eq!(error.code(), Some("ResourceNotFoundException"));
}
