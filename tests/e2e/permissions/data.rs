//! How the template protects stored data.
//!
//! Each test covers every resource of a type, so that it covers new ones too.

use serde_json::json;

use super::documents::Table;
use super::template::{Template, one_or_many};

#[test]
fn every_table_is_encrypted_and_can_be_restored() {
    let template = Template::read();
    assert_eq!(template.of_type("AWS::DynamoDB::Table").count(), 6);
    for (name, table) in template.of_type("AWS::DynamoDB::Table") {
        let properties = &table["Properties"];
        assert_eq!(properties["SSESpecification"], json!({"SSEEnabled": true}), "{name}");
        let recovery = &properties["PointInTimeRecoverySpecification"];
        assert_eq!(recovery, &json!({"PointInTimeRecoveryEnabled": true}), "{name}");
    }
}

#[test]
fn every_queue_is_encrypted_and_refuses_plain_http() {
    let template = Template::read();
    assert_eq!(template.of_type("AWS::SQS::Queue").count(), 4);
    for (name, queue) in template.of_type("AWS::SQS::Queue") {
        assert_eq!(queue["Properties"]["SqsManagedSseEnabled"], true, "{name}");
        let policy = json!({
            "Queues": [{"Ref": name}],
            "PolicyDocument": {
                "Version": "2012-10-17",
                "Statement": [{
                    "Sid": "RefusePlainHttp",
                    "Effect": "Deny",
                    "Principal": "*",
                    "Action": "sqs:*",
                    "Resource": {"Fn::GetAtt": format!("{name}.Arn")},
                    "Condition": {"Bool": {"aws:SecureTransport": "false"}},
                }],
            },
        });
        let mut policies = template.of_type("AWS::SQS::QueuePolicy");
        assert!(policies.any(|(_, it)| it["Properties"] == policy), "{name} accepts plain HTTP");
    }
    // No other policy grants access.
    assert_eq!(template.of_type("AWS::SQS::QueuePolicy").count(), 4);
}

#[test]
fn every_topic_is_encrypted_with_a_key_that_alarms_may_use() {
    let template = Template::read();
    assert_eq!(template.of_type("AWS::SNS::Topic").count(), 2);
    for (name, topic) in template.of_type("AWS::SNS::Topic") {
        assert_eq!(
            topic["Properties"]["KmsMasterKeyId"],
            json!({"Ref": "AlarmTopicsKey"}),
            "{name}"
        );
    }
    let key = &template.resource("AlarmTopicsKey")["Properties"];
    assert_eq!(key["EnableKeyRotation"], true);
    let statements = one_or_many(&key["KeyPolicy"]["Statement"]);
    let alarms = json!({"Service": "cloudwatch.amazonaws.com"});
    let statement =
        statements.iter().find(|it| it["Principal"] == alarms).expect("alarms use the key");
    assert_eq!(statement["Effect"], "Allow");
    assert_eq!(statement["Action"], json!(["kms:Decrypt", "kms:GenerateDataKey*"]));
}

#[test]
fn tables_and_queues_outlive_the_stack() {
    let template = Template::read();
    // A retained queue without its policy would accept plain HTTP.
    for kind in ["AWS::DynamoDB::Table", "AWS::SQS::Queue", "AWS::SQS::QueuePolicy"] {
        assert!(template.of_type(kind).count() > 0, "the template has no {kind}");
        for (name, resource) in template.of_type(kind) {
            // If the creation of the stack fails, nothing is left behind that a second try would not use.
            assert_eq!(resource["DeletionPolicy"], "RetainExceptOnCreate", "{name}");
            assert_eq!(resource["UpdateReplacePolicy"], "Retain", "{name}");
        }
    }
}

#[test]
fn permissions_md_lists_every_resource_that_stores_data() {
    let template = Template::read();
    let kinds =
        ["AWS::DynamoDB::Table", "AWS::SQS::Queue", "AWS::SNS::Topic", "AWS::Logs::LogGroup"];
    let mut stored: Vec<&str> =
        kinds.iter().flat_map(|kind| template.names_of_type(kind)).collect();
    // The API creates the secrets; the template has only their prefix.
    stored.push("${Prefix}/");
    stored.sort_unstable();
    assert_eq!(Table::read("where").subjects(), stored);
}
