//! Faults that somebody made by hand: each is found, with what to do.

use harness::{Receiver, eventually, status};
use reqwest::Method;
use serde_json::{Value, json};

use super::{Patient, assert_found, faults, of};
use crate::support::tenant::Tenant;

#[tokio::test]
async fn queues_tables_and_mappings_that_were_changed_by_hand_are_found() {
    let patient = Patient::get().await;
    let outputs = &patient.info.outputs;
    let (queue, table) = (&outputs.delivery_queue_url, &outputs.replays_table);
    let attributes = json!({"QueueUrl": queue, "AttributeNames": ["All"]});
    let queue_before = patient.aws("sqs", "get_queue_attributes", attributes).await;
    let table_before = patient.aws("dynamodb", "describe_table", json!({"TableName": table})).await;
    let mapping = patient.mapping("SenderFunction").await;
    let set_queue = |attributes: Value| {
        patient.aws(
            "sqs",
            "set_queue_attributes",
            json!({"QueueUrl": queue, "Attributes": attributes}),
        )
    };
    let set_mapping = |enabled: bool| {
        let change = json!({"UUID": mapping, "Enabled": enabled});
        patient.aws("lambda", "update_event_source_mapping", change)
    };

    set_queue(json!({"RedrivePolicy": "", "VisibilityTimeout": "20"})).await;
    set_mapping(false).await;
    patient.time_to_live(&outputs.deliveries_table, false).await;
    patient.backups(&outputs.webhooks_table, false).await;
    patient.aws("dynamodb", "delete_table", json!({"TableName": table})).await;
    let letter = json!({"QueueUrl": outputs.dead_letter_queue_url, "MessageBody": "{}"});
    patient.aws("sqs", "send_message", letter).await;

    let findings = patient.findings(3).await;
    assert_eq!(
        faults(&findings),
        [
            "table DeliveriesTable",
            "table ReplaysTable",
            "queue DeliveryQueue",
            "event source of SenderFunction"
        ]
    );
    let restore = "Restore what was changed by hand";
    assert_found(&findings, "table ReplaysTable", "fault", "no table", "Restore a table");
    let ttl = "aws dynamodb update-time-to-live";
    assert_found(&findings, "table DeliveriesTable", "fault", "time to live is off", ttl);
    let backups = "aws dynamodb update-continuous-backups";
    assert_found(&findings, "table WebhooksTable", "warning", "backups are off", backups);
    assert_found(&findings, "queue DeliveryQueue", "fault", "no redrive policy", restore);
    assert_found(&findings, "queue DeliveryQueue", "fault", "20 s, expected at least 120", restore);
    let enable = format!("aws lambda update-event-source-mapping --enabled --uuid {mapping}");
    let sender = "event source of SenderFunction";
    assert_found(&findings, sender, "fault", "is off: no delivery is sent", &enable);
    let list = "`docintell dlq list`";
    assert_found(&findings, "parked in DeadLetterQueue", "warning", "About 1 message is", list);
    assert_found(&findings, "delivery", "skipped", "first repair the faults", "");
    assert_found(&findings, "test of the webhook", "ok", "", "");
    assert_found(&findings, "removal", "ok", "nothing of this run is left", "");

    set_queue(json!({
        "RedrivePolicy": queue_before["Attributes"]["RedrivePolicy"],
        "VisibilityTimeout": queue_before["Attributes"]["VisibilityTimeout"],
    }))
    .await;
    set_mapping(true).await;
    patient.time_to_live(&outputs.deliveries_table, true).await;
    patient.backups(&outputs.webhooks_table, true).await;
    let table_before = &table_before["Table"];
    let again = json!({
        "TableName": table,
        "KeySchema": table_before["KeySchema"],
        "AttributeDefinitions": table_before["AttributeDefinitions"],
        "BillingMode": "PAY_PER_REQUEST",
    });
    patient.aws("dynamodb", "create_table", again).await;
    patient.time_to_live(table, true).await;
    patient.backups(table, true).await;
    let letters = json!({"QueueUrl": outputs.dead_letter_queue_url});
    patient.aws("sqs", "purge_queue", letters).await;
}

#[tokio::test]
async fn a_secret_that_is_gone_and_one_under_another_prefix_are_found() {
    let patient = Patient::get().await;
    let tenant = Tenant::of_stack(&patient.info);
    let receiver = Receiver::start(status(200)).await;
    let [gone, moved, deleted] = [
        tenant.subscribe(&receiver).await,
        tenant.subscribe(&receiver).await,
        tenant.subscribe(&receiver).await,
    ];
    let name = |prefix: &str, id: &str| format!("{prefix}/{}/{id}", tenant.id);
    let own = |id: &str| name("docintell-webhooks", id);
    for hook in [&gone, &moved] {
        let forced = json!({"SecretId": own(&hook.id), "ForceDeleteWithoutRecovery": true});
        patient.aws("secretsmanager", "delete_secret", forced).await;
    }
    let other = json!({"Name": name("team/staging", &moved.id), "SecretString": "{}"});
    patient.aws("secretsmanager", "create_secret", other).await;
    let pending = json!({"SecretId": own(&deleted.id), "RecoveryWindowInDays": 7});
    patient.aws("secretsmanager", "delete_secret", pending).await;

    let findings = patient.findings(3).await;
    assert_eq!(faults(&findings), ["secrets"]);
    let parts = [
        ("are under `team/staging`", "set `team/staging` again: docs/OPERATIONS.md, \"Deploy\""),
        ("no secret under `docintell-webhooks/` for 1 of 3 webhooks", "docs/RECOVERY.md"),
        ("are being deleted", "aws secretsmanager restore-secret --secret-id docintell-webhooks/"),
    ];
    for (message, action) in parts {
        assert_found(&findings, "secrets", "fault", message, action);
    }
    let message = of(&findings, "secrets")["message"].as_str().expect("it is text");
    assert!([&gone, &moved, &deleted].iter().all(|hook| message.contains(&hook.id)), "{message}");

    for hook in [gone, moved, deleted] {
        let path = format!("/v1/webhooks/{}", hook.id);
        assert_eq!(tenant.request(Method::DELETE, &path, None).await.status, 204);
    }
}

#[tokio::test]
async fn a_stopped_function_with_another_secrets_prefix_and_a_role_without_a_permission_are_found()
{
    let patient = Patient::get().await;
    let sender = patient.function("SenderFunction").await;
    let of_sender = || json!({"FunctionName": sender["FunctionName"]});
    let role = sender["Role"].as_str().and_then(|role| role.rsplit('/').next()).expect("a role");
    let policy = json!({"RoleName": role, "PolicyName": "sender"});
    let policy = patient.aws("iam", "get_role_policy", policy).await;
    let set_policy = |document: Value| {
        let policy = json!({
            "RoleName": role, "PolicyName": "sender", "PolicyDocument": document.to_string(),
        });
        patient.aws("iam", "put_role_policy", policy)
    };
    let set_prefix = async |prefix: &str| {
        let mut environment = sender["Environment"].clone();
        environment["Variables"]["SECRETS_PREFIX"] = json!(prefix);
        let mut change = of_sender();
        change["Environment"] = environment;
        patient.aws("lambda", "update_function_configuration", change).await;
        eventually("the new configuration", async || {
            let now = patient.aws("lambda", "get_function_configuration", of_sender()).await;
            let is_done = now["State"] == "Active" && now["LastUpdateStatus"] == "Successful";
            is_done.then_some(())
        })
        .await;
        let published = patient.aws("lambda", "publish_version", of_sender()).await;
        let mut alias = of_sender();
        alias["Name"] = json!("live");
        alias["FunctionVersion"] = published["Version"].clone();
        patient.aws("lambda", "update_alias", alias).await;
    };

    set_prefix("other").await;
    let stop = json!({"FunctionName": sender["FunctionName"], "ReservedConcurrentExecutions": 0});
    patient.aws("lambda", "put_function_concurrency", stop).await;
    let findings = patient.findings(3).await;
    assert_eq!(
        faults(&findings),
        ["function SenderFunction", "test of the webhook"],
        "{findings:#?}"
    );
    let message = "SECRETS_PREFIX is `other`, expected `docintell-webhooks`: it looks";
    let restore = "Restore what was changed by hand";
    assert_found(&findings, "function SenderFunction", "fault", message, restore);
    let start = "aws lambda delete-function-concurrency --function-name";
    assert_found(&findings, "function SenderFunction", "fault", "concurrency is 0", start);
    assert_found(&findings, "delivery", "skipped", "\"test of the webhook\" has failed", "");
    set_prefix("docintell-webhooks").await;
    patient.aws("lambda", "delete_function_concurrency", of_sender()).await;

    let mut without = policy["PolicyDocument"].clone();
    let statements = without["Statement"].as_array_mut().expect("it has statements");
    statements.retain(|statement| statement["Sid"] != "ReadSigningSecrets");
    set_policy(without).await;
    let findings = patient.findings(3).await;
    assert_eq!(faults(&findings), ["test of the webhook"], "{findings:#?}");
    let action = "a permission of SenderRole (secretsmanager:GetSecretValue)";
    assert_found(&findings, "test of the webhook", "fault", "its signing secret", action);
    set_policy(policy["PolicyDocument"].clone()).await;
}

impl Patient {
    /// The version in force of a function of the template.
    async fn function(&self, name: &str) -> Value {
        let all = self.aws("lambda", "list_functions", json!({})).await;
        let all = all["Functions"].as_array().expect("it is a list");
        let of_name = |function: &&Value| {
            function["FunctionName"].as_str().is_some_and(|text| text.contains(name))
        };
        let function = all.iter().find(of_name).expect("the stack has it")["FunctionName"].clone();
        let live = json!({"FunctionName": function, "Qualifier": "live"});
        self.aws("lambda", "get_function_configuration", live).await
    }

    /// The id of a function's event source mapping.
    async fn mapping(&self, function: &str) -> String {
        let all = self.aws("lambda", "list_event_source_mappings", json!({})).await;
        let all = all["EventSourceMappings"].as_array().expect("it is a list");
        let of_function = |mapping: &&Value| {
            mapping["FunctionArn"].as_str().is_some_and(|arn| arn.contains(function))
        };
        let mapping = all.iter().find(of_function).expect("the function has one");
        mapping["UUID"].as_str().expect("it has an id").to_owned()
    }

    async fn time_to_live(&self, table: &str, enabled: bool) {
        let ttl = json!({"AttributeName": "ttl", "Enabled": enabled});
        let change = json!({"TableName": table, "TimeToLiveSpecification": ttl});
        self.aws("dynamodb", "update_time_to_live", change).await;
    }

    async fn backups(&self, table: &str, enabled: bool) {
        let backups = json!({"PointInTimeRecoveryEnabled": enabled});
        let change = json!({"TableName": table, "PointInTimeRecoverySpecification": backups});
        self.aws("dynamodb", "update_continuous_backups", change).await;
    }
}
