//! Functions that cannot start say why, in the log and to Lambda.

use harness::{FakeAws, Hosted};
use serde_json::{Value, json};

/// Starts `function` with this variable, waits for its end, and compares what it says about its failure.
async fn expect_failure(
    function: &'static str,
    (variable, value): (&'static str, &str),
    why: &str,
) {
    let aws = FakeAws::with_webhooks([]).await;
    let environment = aws.environment_with(&[(variable, value)]);
    let mut hosted = Hosted::start(function, &environment).await;
    let log = hosted.ended().await;
    let [line] = log.lines().collect::<Vec<_>>()[..] else { panic!("not one line: {log}") };
    let line: Value = serde_json::from_str(line).expect("a line is JSON");
    assert_eq!(line["level"], "ERROR");
    assert_eq!(line["fields"]["message"], "the function cannot run");
    assert_eq!(line["fields"]["error"], why);
    let report = hosted.start_error().expect("Lambda gets a report");
    let body: Value = serde_json::from_slice(&report.body).expect("the report is JSON");
    let category = "Runtime.ConfigInvalid";
    assert_eq!(body, json!({"errorType": category, "errorMessage": why, "stackTrace": []}));
    assert_eq!(report.category, category);
    assert_eq!(aws.calls().len(), 0);
}

#[tokio::test]
async fn api_names_the_parameter_that_it_cannot_use() {
    let rate = "parameter ReplayRate (environment variable REPLAY_RATE) is wrong: 501 is more than MaxReplayRate, \
                500: lower it, or raise MaxReplayRate";
    expect_failure("api", ("REPLAY_RATE", "501"), rate).await;
    let limit = "parameter MaxWebhooksPerTenant (environment variable MAX_WEBHOOKS_PER_TENANT) is wrong: `1.5`: \
                 invalid digit found in string";
    expect_failure("api", ("MAX_WEBHOOKS_PER_TENANT", "1.5"), limit).await;
}

#[tokio::test]
async fn fanout_names_the_parameter_that_it_cannot_use() {
    let days = "parameter SkippedEventDays (environment variable SKIPPED_EVENT_DAYS) is wrong: `-1`: invalid digit \
                found in string";
    expect_failure("fanout", ("SKIPPED_EVENT_DAYS", "-1"), days).await;
}

#[tokio::test]
async fn the_sender_names_the_parameter_that_it_cannot_use() {
    let file = "parameter ExtraCaFile (environment variable EXTRA_CA_FILE) is wrong: cannot read PEM certificates from \
                /var/task/nowhere.pem: I/O error: No such file or directory (os error 2)";
    expect_failure("sender", ("EXTRA_CA_FILE", "/var/task/nowhere.pem"), file).await;
    let networks = "parameter AllowedNetworks (environment variable ALLOWED_NETWORKS) is wrong: `10.0.0.0/33`: invalid \
                    IP address syntax";
    expect_failure("sender", ("ALLOWED_NETWORKS", "10.0.0.0/33"), networks).await;
    let errors = "parameter RetriedClientErrors (environment variable RETRIED_CLIENT_ERRORS) is wrong: `410`: `410` is \
                  not one of 408, 425 and 429, separated by commas";
    expect_failure("sender", ("RETRIED_CLIENT_ERRORS", "410"), errors).await;
}

#[tokio::test]
async fn replay_names_the_parameter_that_it_cannot_use() {
    let days = "parameter DeliveryLogDays (environment variable DELIVERY_LOG_DAYS) is wrong: `1e2`: invalid digit \
                found in string";
    expect_failure("replay", ("DELIVERY_LOG_DAYS", "1e2"), days).await;
}
