//! A stack that is well.

use std::collections::BTreeSet;

use harness::{Receiver, status};
use serde_json::Value;

use super::{Patient, assert_found, of};
use crate::permissions::template::Template;
use crate::support::tenant::Tenant;

#[tokio::test]
async fn a_healthy_stack_is_all_well_and_nothing_is_left_behind() {
    // Parsed on another thread, because it starts a runtime.
    let template = tokio::task::spawn_blocking(Template::read).await.expect("it is parsed");
    let patient = Patient::get().await;
    // A webhook whose secret can be looked at.
    let tenant = Tenant::of_stack(&patient.info);
    let receiver = Receiver::start(status(200)).await;
    let hook = tenant.subscribe(&receiver).await;
    let before = patient.contents().await;

    let findings = patient.findings(0).await;
    let well = findings.iter().filter(|finding| finding["status"] == "ok");
    assert_eq!(well.count(), findings.len(), "{findings:#?}");
    assert_found(&findings, "secrets", "ok", "looked at, under docintell-webhooks/", "");
    assert_found(&findings, "delivery", "ok", "an event arrived ", "");
    assert_eq!(patient.contents().await, before);
    assert_eq!(receiver.connections(), 0, "another tenant's webhook gets no test");
    every_part_of_the_template_is_checked(&template, &findings);
    tenant.request(reqwest::Method::DELETE, &format!("/v1/webhooks/{}", hook.id), None).await;
}

fn every_part_of_the_template_is_checked(template: &Template, findings: &[Value]) {
    for (kind, check) in [
        ("AWS::DynamoDB::Table", "table"),
        ("AWS::SQS::Queue", "queue"),
        ("AWS::Serverless::Function", "function"),
    ] {
        for name in template.names_of_type(kind) {
            assert_eq!(of(findings, &format!("{check} {name}"))["status"], "ok");
        }
    }
    for (name, function) in template.of_type("AWS::Serverless::Function") {
        let events = function["Properties"]["Events"].as_object().expect("it is invoked");
        if events.values().any(|event| event["Type"] != "HttpApi") {
            of(findings, &format!("event source of {name}"));
        }
    }
    let checks: BTreeSet<&str> =
        findings.iter().filter_map(|finding| finding["check"].as_str()).collect();
    assert_eq!(checks.len(), findings.len(), "each check has a name of its own");
}

#[tokio::test]
async fn an_endpoint_that_the_user_names_gets_the_test_and_the_event() {
    let patient = Patient::get().await;
    let receiver = Receiver::start(status(200)).await;
    let ended = patient.doctor(&["--url", &receiver.url()]).await.succeeded();
    let (checks, summary) =
        ended.printed.split_once("\n\n").expect("a summary is below the checks");
    // There may be no webhook whose secret can be looked at.
    let is_well = |line: &str| line.starts_with("✓ ") || line.starts_with("– secrets: ");
    assert!(checks.lines().all(is_well), "{ended:?}");
    assert!(checks.contains("✓ delivery: an event arrived "), "{ended:?}");
    assert!(summary.starts_with("All is well, in 29 checks"), "{ended:?}");
    assert_eq!(ended.noted, "");
    let arrivals = receiver.arrivals();
    assert_eq!(arrivals.len(), 2);
    for arrival in arrivals {
        let body: Value = serde_json::from_slice(&arrival.body).expect("it is JSON");
        assert_eq!(body["event"], "document.uploaded");
        let tenant = body["data"]["tenant_id"].as_str().expect("it is text");
        assert!(tenant.starts_with(super::TENANT), "{tenant}");
    }

    receiver.now(status(404));
    let ended = patient.doctor(&["--url", &receiver.url()]).await;
    assert_eq!(ended.code, Some(3), "{ended:?}");
    assert!(ended.printed.contains("the endpoint answered 404"), "{ended:?}");
    assert!(ended.printed.contains("Something is wrong: 1 fault"), "{ended:?}");
}
