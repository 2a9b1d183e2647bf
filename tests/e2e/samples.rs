//! The sample events work in the real bootstraps on the deployed stack's tables.

use std::collections::BTreeSet;
use std::time::Duration;

use docintell::keys;
use harness::{Hosted, Receiver, status};
use serde_json::{Value, json};
use tokio::task::spawn_blocking;
use webhooks::audit::Actor;
use webhooks::delivery::DeliveryStatus;
use webhooks::endpoint::EndpointUrl;
use webhooks::id::{KeyId, TenantId, WebhookId};
use webhooks::secret::{ApiKey, KeyEnvironment, SigningSecret};
use webhooks::secrets::SecretStore;
use webhooks::store::api_keys::{ApiKeyRecord, KeyStatus};
use webhooks::store::{AuditStore, DynamoDb, WebhookEditor, WebhookStore};
use webhooks::timestamp::Timestamp;
use webhooks::webhook::Webhook;

use crate::permissions::template::Template;
use crate::support::logged::{Logged, log};
use crate::support::tenant::{Hook, Tenant};
use crate::support::world::World;

/// The tenant and the webhook of the sample events.
const TENANT: &str = "770e8400-e29b-41d4-a716-446655440002";
const WEBHOOK: &str = "550e8400-e29b-41d4-a716-446655440000";
/// The delivery of the sample batch.
const DELIVERY: &str = "019ae3b8-7a40-7c1e-9d2f-1a2b3c4d5e6f";
const PREFIX: &str = "docintell-webhooks";

/// Starts the function on the deployed stack's tables and queues, with the template's default limit of changes
/// per minute.
pub(crate) async fn host(function: &'static str) -> Hosted {
    host_with(function, &[]).await
}

/// [`host`] with these variables replaced.
pub(crate) async fn host_with(
    function: &'static str,
    own: &[(&'static str, &'static str)],
) -> Hosted {
    let info = World::get().info();
    // On a separate thread, because reading the template starts a runtime.
    let changes = spawn_blocking(|| Template::read().default_of("ChangesPerMinute"));
    let changes = changes.await.expect("the template can be read").as_str().expect("it is text");
    let sender_function = &World::get().env_vars()["ApiFunction"]["SENDER_FUNCTION_NAME"];
    let environment = [
        ("AWS_ENDPOINT_URL", info.aws_endpoint_url.as_str()),
        ("AWS_REGION", &info.region),
        ("AWS_ACCESS_KEY_ID", "test"),
        ("AWS_SECRET_ACCESS_KEY", "test"),
        ("WEBHOOKS_TABLE", &info.outputs.webhooks_table),
        ("WEBHOOK_AUDIT_TABLE", &info.outputs.webhook_audit_table),
        ("AUDIT_DAYS", "400"),
        ("API_KEYS_TABLE", &info.outputs.api_keys_table),
        ("DELIVERIES_TABLE", &info.outputs.deliveries_table),
        ("DELIVERY_QUEUE_URL", &info.outputs.delivery_queue_url),
        ("REPLAYS_TABLE", &info.outputs.replays_table),
        ("REPLAY_QUEUE_URL", &info.outputs.replay_queue_url),
        ("REPLAY_RATE", "50"),
        ("MAX_REPLAY_RATE", "500"),
        ("DEAD_LETTER_QUEUE_URL", &info.outputs.dead_letter_queue_url),
        ("METRICS_NAMESPACE", "DocIntell/docintell-webhooks"),
        ("PIPELINE_FAULTS_QUEUE_URL", &info.outputs.pipeline_faults_queue_url),
        ("SECRETS_PREFIX", PREFIX),
        ("SENDER_FUNCTION_NAME", sender_function.as_str().expect("it is text")),
        ("MAX_WEBHOOKS_PER_TENANT", "50"),
        ("CHANGES_PER_MINUTE", changes),
        ("REQUIRE_TESTED_ENDPOINTS", "false"),
        ("DELIVERY_LOG_DAYS", "30"),
        ("DISABLE_AFTER_DAYS", "5"),
        ("SKIPPED_EVENT_DAYS", "30"),
        ("ALLOW_HTTP_ENDPOINTS", "true"),
        ("ALLOWED_NETWORKS", "127.0.0.0/8"),
    ];
    let environment = environment.iter().chain(own);
    let environment: Vec<_> = environment.map(|(name, value)| (*name, value.to_string())).collect();
    Hosted::start(function, &environment).await
}

fn sample(text: &str) -> Value {
    serde_json::from_str(text).expect("a sample is JSON")
}

/// Stores the API key and the webhook that the API's samples use.
async fn store_sample_key_and_webhook(tenant: TenantId, id: WebhookId) {
    let world = World::get();
    let (aws, info) = (world.aws(), world.info());
    let create = sample(include_str!("../../events/api-create.json"));
    let header = create["headers"]["authorization"].as_str().expect("the sample has a key");
    let key = ApiKey::parse(header.trim_start_matches("Bearer "))
        .expect("the sample's key is well-formed");
    let now = Timestamp::now();
    let record = ApiKeyRecord {
        key_hash: key.hash(),
        tenant_id: tenant,
        key_id: KeyId::random(),
        name: "samples".to_owned(),
        key_suffix: key.suffix().to_owned(),
        environment: KeyEnvironment::Test,
        status: KeyStatus::Active,
        expires_at: None,
        replaced_by: None,
        created_at: now,
    };
    keys::store(&aws, &info.outputs.api_keys_table)
        .insert(&record)
        .await
        .expect("the table can be written");

    let secret = SigningSecret::generate().expect("there are random bytes");
    let secrets = SecretStore::new(aws_sdk_secretsmanager::Client::new(&aws), PREFIX.to_owned());
    let secret_version =
        secrets.create(tenant, id, &secret).await.expect("the secret can be stored");
    let webhook = Webhook {
        tenant_id: tenant,
        id,
        url: EndpointUrl::parse("https://yourapp.invalid/").expect("it is a URL"),
        secret_version,
        ..Webhook::example(now)
    };
    let dynamodb = DynamoDb::new(&aws);
    let store = WebhookStore::new(dynamodb.clone(), info.outputs.webhooks_table.clone());
    let audit = info.outputs.webhook_audit_table.clone();
    let audit = AuditStore::new(dynamodb, audit, Duration::from_hours(24));
    let editor = WebhookEditor::new(store, audit);
    editor.create(&webhook, Actor::Operator, 50, None).await.expect("the table can be written");
}

#[tokio::test]
async fn each_sample_event_gets_the_expected_result() {
    let (tenant, id) = (TENANT.parse().expect("a UUID"), WEBHOOK.parse().expect("a UUID"));
    store_sample_key_and_webhook(tenant, id).await;
    let owner = Tenant::with_id(tenant).await;
    let hook = Hook { id: WEBHOOK.to_owned(), secret: String::new() };
    // The delivery of the samples.
    log(&owner, &hook, &[Logged::at(1_764_757_800, DeliveryStatus::Failed)]).await;

    let api = host("api").await;
    for (name, event, status) in [
        ("create", include_str!("../../events/api-create.json"), 201),
        ("event-types", include_str!("../../events/api-event-types.json"), 200),
        ("openapi", include_str!("../../events/api-openapi.json"), 200),
        ("list", include_str!("../../events/api-list.json"), 200),
        ("get", include_str!("../../events/api-get.json"), 200),
        ("deliveries", include_str!("../../events/api-deliveries.json"), 200),
        ("delivery", include_str!("../../events/api-delivery.json"), 200),
        ("retry", include_str!("../../events/api-retry.json"), 202),
        ("update", include_str!("../../events/api-update.json"), 200),
        ("rotate", include_str!("../../events/api-rotate.json"), 200),
        ("replay", include_str!("../../events/api-replay.json"), 200),
        ("replays", include_str!("../../events/api-replays.json"), 200),
        (
            "delete-previous-secret",
            include_str!("../../events/api-delete-previous-secret.json"),
            204,
        ),
        ("test", include_str!("../../events/api-test.json"), 200),
        ("delete", include_str!("../../events/api-delete.json"), 204),
        ("audit", include_str!("../../events/api-audit.json"), 200),
    ] {
        let response = api.invoke(sample(event)).await.expect("the function succeeds");
        assert_eq!(response["statusCode"], status, "{name}: {response}");
    }

    // The sample test and the sample delivery are for the webhook that the last sample deleted.
    let sender = host("sender").await;
    let test = sample(include_str!("../../events/sender-test.json"));
    assert_eq!(sender.invoke(test).await, Ok(json!("webhook_not_found")));
    let batch = sample(include_str!("../../events/queue-batch.json"));
    assert_eq!(sender.invoke(batch).await, Ok(json!({"batchItemFailures": []})));
    let rows = owner.deliveries(&hook).await;
    let cancelled = rows.iter().find(|row| row.summary.delivery_id.to_string() == DELIVERY);
    assert_eq!(cancelled.map(|row| row.summary.status), Some(DeliveryStatus::Cancelled));

    // The sample replay does not exist.
    let replay = host("replay").await;
    let batch = sample(include_str!("../../events/replay-slice.json"));
    assert_eq!(replay.invoke(batch).await, Ok(json!({"batchItemFailures": []})));

    let receiver = Receiver::start(status(200)).await;
    owner.subscribe(&receiver).await;
    let fanout = host("fanout").await;
    let batch = sample(include_str!("../../events/stream-batch.json"));
    assert_eq!(fanout.invoke(batch).await, Ok(json!({"batchItemFailures": []})));
    let arrivals = receiver.wait_for(3).await;
    let names: BTreeSet<_> = arrivals.iter().map(|it| it.header("X-DocIntell-Event")).collect();
    assert_eq!(names.len(), 3, "one of each event");
}

#[test]
fn env_json_lists_exactly_the_variables_of_each_function() {
    let file = sample(include_str!("../../events/env.json"));
    let template = Template::read();
    let names = |variables: &Value| -> BTreeSet<String> {
        variables.as_object().expect("variables are an object").keys().cloned().collect()
    };
    // The file that the local stack writes for functions in containers. It adds the endpoint of AWS.
    let mut local = World::get().env_vars();
    let parameters = local.as_object_mut().and_then(|local| local.remove("Parameters"));
    let endpoint = World::get().info().aws_endpoint_url.as_str();
    assert_eq!(parameters, Some(json!({"AWS_ENDPOINT_URL": endpoint})));
    assert_eq!(names(&local), names(&file));
    let mut common = names(template.part("/Globals/Function/Environment/Variables"));
    assert!(common.remove("AWS_ENDPOINT_URL"), "it is among the parameters");
    let mut functions = BTreeSet::new();
    for (function, resource) in template.of_type("AWS::Serverless::Function") {
        let declared = names(&resource["Properties"]["Environment"]["Variables"]);
        let declared = &declared | &common;
        assert_eq!(names(&file[function]), declared, "{function}");
        assert_eq!(names(&local[function]), declared, "{function}, on the local stack");
        functions.insert(function.to_owned());
    }
    assert_eq!(names(&file), functions);
}
