//! Jobs, written as the document pipeline writes them.

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::AttributeValue;
use serde_json::Value;
use webhooks::id::TenantId;
use webhooks::timestamp::Timestamp;

use super::world::World;

/// A random id for a job or a document.
pub(crate) fn new_id() -> String {
    TenantId::random().to_string()
}

/// Puts a row into the Jobs table: strings as strings, numbers as numbers.
pub(crate) async fn put(fields: Value) {
    let world = World::get();
    let Value::Object(fields) = fields else { panic!("a row is an object") };
    let table = world.info().outputs.jobs_table().expect("a local stack has a Jobs table");
    let mut put = Client::new(&world.aws()).put_item().table_name(table);
    for (name, value) in fields {
        let value = match value {
            Value::String(text) => AttributeValue::S(text),
            number => AttributeValue::N(number.to_string()),
        };
        put = put.item(name, value);
    }
    put.send().await.expect("the row can be written");
}

/// Uploads a document of `tenant` and returns the id of its job.
pub(crate) async fn upload(tenant: TenantId) -> String {
    let job = new_id();
    set_status(tenant, &job, "queued").await;
    job
}

/// Writes `job` of `tenant` with this status.
pub(crate) async fn set_status(tenant: TenantId, job: &str, status: &str) {
    put(serde_json::json!({
        "job_id": job,
        "document_id": new_id(),
        "tenant_id": tenant.to_string(),
        "status": status,
        "updated_at": Timestamp::now().to_string(),
    }))
    .await;
}
