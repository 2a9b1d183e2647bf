//! A stack on AWS, and what the caller's own credentials must allow.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use serde_json::{Value, json};

use super::{Patient, assert_found, faults};
use crate::support::job::new_id;
use crate::support::operator::Ended;

/// The actions that `docs/PERMISSIONS.md` lists for doctor.
fn documented() -> Vec<&'static str> {
    let page = include_str!("../../../docs/PERMISSIONS.md");
    let (_, list) = page.split_once("- `docintell doctor` too").expect("there is the list");
    let (list, _) = list.split_once("\n- ").expect("another item follows");
    let code = list.split('`').skip(1).step_by(2);
    code.filter(|code| code.split_once(':').is_some_and(|(service, _)| service != "secret"))
        .collect()
}

/// An operator with credentials of their own, who works on the stack by its name.
struct User {
    id: String,
    secret: String,
}

impl User {
    /// Allows these actions on everything.
    async fn with(patient: &Patient, actions: &[&str]) -> Self {
        let name = format!("operator-{}", new_id());
        let user = json!({"UserName": name});
        patient.aws("iam", "create_user", user.clone()).await;
        let document = json!({
            "Version": "2012-10-17",
            "Statement": [{"Effect": "Allow", "Action": actions, "Resource": "*"}],
        });
        let policy = json!({
            "UserName": name, "PolicyName": "doctor", "PolicyDocument": document.to_string(),
        });
        patient.aws("iam", "put_user_policy", policy).await;
        let key = patient.aws("iam", "create_access_key", user).await["AccessKey"].take();
        let text = |name: &str| key[name].as_str().expect("it is text").to_owned();
        Self { id: text("AccessKeyId"), secret: text("SecretAccessKey") }
    }

    /// Runs doctor on the stack, whose outputs a fake SAM CLI prints without those named `hidden`.
    async fn doctor(&self, patient: &Patient, hidden: &[&str]) -> Ended {
        let stacks = patient.aws("cloudformation", "describe_stacks", json!({})).await;
        let mut outputs = stacks["Stacks"][0]["Outputs"].clone();
        let list = outputs.as_array_mut().expect("it is a list");
        list.retain(|output| hidden.iter().all(|name| output["OutputKey"] != *name));
        for output in list {
            if output["OutputKey"] == "ApiUrl" {
                output["OutputValue"] = json!(patient.info.outputs.api_url);
            }
        }
        let folder = patient.operator.folder();
        fs::write(folder.join("outputs.json"), outputs.to_string()).expect("it can be written");
        let sam = folder.join("sam");
        fs::write(&sam, "#!/bin/sh\nexec cat outputs.json\n").expect("it can be written");
        fs::set_permissions(&sam, fs::Permissions::from_mode(0o755)).expect("the test owns it");
        let arguments = ["doctor", "--json", "--stack-name", "docintell-webhooks"];
        let mut command = patient.operator.command(&arguments).await;
        command
            .env("PATH", format!("{}:/usr/bin:/bin", folder.display()))
            .env("AWS_ENDPOINT_URL", &patient.info.aws_endpoint_url)
            .env("AWS_REGION", &patient.info.region)
            .env("AWS_ACCESS_KEY_ID", &self.id)
            .env("AWS_SECRET_ACCESS_KEY", &self.secret);
        Ended::of(command.spawn().expect("the program can be started")).await
    }
}

#[tokio::test]
async fn the_documented_permissions_suffice_and_a_missing_one_is_named() {
    let patient = Patient::get().await;
    let all = documented();
    let before = patient.contents().await;
    let user = User::with(&patient, &all).await;
    let ended = user.doctor(&patient, &[]).await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let findings = ended.objects();
    let host = "its host does not exist, as intended";
    assert_found(&findings, "test of the webhook", "ok", host, "");
    assert_found(
        &findings,
        "delivery",
        "skipped",
        "name an endpoint that answers 2xx with --url",
        "",
    );
    assert_eq!(patient.contents().await, before);

    let lacking = [
        ("dynamodb:DescribeTimeToLive", "table WebhooksTable"),
        ("sqs:GetQueueAttributes", "queue DeliveryQueue"),
        ("lambda:ListEventSourceMappings", "event source of FanoutFunction"),
        ("dynamodb:Scan", "secrets"),
    ];
    let without = |action: &&&str| lacking.iter().all(|(lacking, _)| *lacking != **action);
    let fewer: Vec<&str> = all.iter().filter(without).copied().collect();
    let user = User::with(&patient, &fewer).await;
    let ended = user.doctor(&patient, &[]).await;
    assert_eq!(ended.code, Some(3), "{ended:?}");
    let findings = ended.objects();
    for (action, check) in lacking {
        assert_found(&findings, check, "fault", action, "docs/PERMISSIONS.md");
    }
    assert_found(&findings, "function SenderFunction", "ok", "", "");
    assert_found(&findings, "test of the webhook", "ok", "", "");
}

#[tokio::test]
async fn a_stack_of_another_version_and_credentials_that_do_not_work_end_the_checks() {
    let patient = Patient::get().await;
    let user = User::with(&patient, &[]).await;
    let ended = user.doctor(&patient, &["ReplaysTable", "SecretsPrefix"]).await;
    assert_eq!(ended.code, Some(3), "{ended:?}");
    let findings = ended.objects();
    assert_eq!(faults(&findings), ["outputs"]);
    let missing = "no output ReplaysTable, SecretsPrefix";
    assert_found(&findings, "outputs", "fault", missing, "docs/OPERATIONS.md, \"Upgrade\"");
    assert_found(&findings, "delivery", "skipped", "outputs are missing", "");

    let stranger = User { id: "AKIAIOSFODNN7EXAMPLE".to_owned(), secret: new_id() };
    let ended = stranger.doctor(&patient, &[]).await.failed();
    let error = "error: doctor could not look at the stack: the credentials do not work\n";
    assert!(ended.noted.ends_with(error), "{ended:?}");
    let findings: Vec<Value> = ended.objects();
    assert_found(&findings, "credentials", "fault", "AWS refuses your credentials", "Log in again");
    assert_eq!(faults(&findings), ["credentials"]);
}
