//! Jobs, written as the document pipeline writes them.

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::AttributeValue;
use aws_types::SdkConfig;
use docintell::local::StackInfo;
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
    put_to(World::get().info(), &World::get().aws(), fields).await;
}

async fn put_to(info: &StackInfo, aws: &SdkConfig, fields: Value) {
    let Value::Object(fields) = fields else { panic!("a row is an object") };
    let table = info.outputs.jobs_table().expect("a local stack has a Jobs table");
    let mut put = Client::new(aws).put_item().table_name(table);
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

/// Uploads a document of `tenant` to a stack other than the one that all tests share.
pub(crate) async fn upload_to(info: &StackInfo, aws: &SdkConfig, tenant: TenantId) {
    put_to(info, aws, row(tenant, &new_id(), "queued")).await;
}

/// Writes `job` of `tenant` with this status.
pub(crate) async fn set_status(tenant: TenantId, job: &str, status: &str) {
    put(row(tenant, job, status)).await;
}

fn row(tenant: TenantId, job: &str, status: &str) -> Value {
    serde_json::json!({
        "job_id": job,
        "document_id": new_id(),
        "tenant_id": tenant.to_string(),
        "status": status,
        "updated_at": Timestamp::now().to_string(),
    })
}
