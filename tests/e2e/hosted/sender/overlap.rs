//! Deliveries while a rotation overlaps: two secrets sign, and an endpoint that refuses the new one gets a second POST.

use std::time::Duration;

use harness::fixtures::{DEAD_LETTERS, DELIVERIES, SECRET, message, webhook_with};
use harness::{
    Act, Arrival, FakeAws, Hosted, Receiver, Reply, Script, after, answer, assert_contains,
    assert_lacks, by_number, status,
};
use serde_json::{Value, json};
use webhooks::timestamp::Timestamp;

use super::{deliver, delivery, ms, sender, visibilities};

/// The previous secret, and its version.
const OLD: &str = "whsec_YW5vdGhlciB0aGlydHkgYnl0ZXMgZm9yIGEgdGVz";
const OLD_VERSION: &str = "3f1f6f6e-0000-4000-8000-000000000000";

/// The row's attribute for a previous secret that signs for another `seconds`, or has stopped signing.
fn previous_secret(seconds: i64) -> Value {
    let millis = i64::try_from(Timestamp::now().unix_millis()).expect("it fits") + seconds * 1000;
    let until = Timestamp::from_unix_millis(millis.try_into().expect("it is after 1970"));
    json!({"version": OLD_VERSION, "until": until})
}

/// A receiver that follows `script`, its webhook with the old secret in force for another `seconds`, and a sender.
async fn rotated(script: impl Into<Script>, seconds: i64) -> (Receiver, Value, FakeAws, Hosted) {
    let receiver = Receiver::start(script).await;
    let hook = webhook_with(&receiver.url(), json!({"previous_secret": previous_secret(seconds)}));
    let (aws, sender) = sender([&hook]).await;
    aws.keep_secret(OLD_VERSION, OLD);
    (receiver, hook, aws, sender)
}

/// Answers the first request with `first` and the others with `then`.
fn first(first: Vec<Act>, then: Vec<Act>) -> Script {
    by_number(move |number| if number == 1 { first.clone() } else { then.clone() })
}

/// The secrets that verify the guide's signature and the one of Standard Webhooks.
fn signers(arrival: &Arrival) -> (Vec<&str>, Vec<&str>) {
    let secrets = || [SECRET, OLD].into_iter();
    (
        secrets().filter(|secret| arrival.is_signed_with(secret)).collect(),
        secrets().filter(|secret| arrival.passes_standard_webhooks(secret)).collect(),
    )
}

/// Status, first status code, status code and error of the only attempt in the log.
fn logged(aws: &FakeAws) -> [Value; 4] {
    let rows = aws.logged();
    let [row] = rows.as_slice() else { panic!("{rows:?}") };
    assert_eq!(row["attempts"].as_array().map(Vec::len), Some(1), "{row}");
    let attempt = &row["attempts"][0];
    let field = |name| attempt.get(name).cloned().unwrap_or_default();
    [row["status"].clone(), field("first_status_code"), field("status_code"), field("error")]
}

#[tokio::test]
async fn both_secrets_sign_the_standard_header_and_the_new_one_signs_the_guides() {
    let (receiver, hook, aws, sender) = rotated(status(200), 60).await;
    deliver(&sender, &[message(&hook, 1), message(&hook, 2)]).await;
    deliver(&sender, &[message(&hook, 3)]).await;
    let arrivals = receiver.arrivals();
    for arrival in &arrivals {
        assert_eq!(signers(arrival), (vec![SECRET], vec![SECRET, OLD]));
        let signatures: Vec<_> = arrival.header("webhook-signature").split(' ').collect();
        assert!(signatures.len() == 2 && signatures.iter().all(|it| it.starts_with("v1,")));
    }
    assert_eq!(arrivals.len(), 3);
    assert_eq!(aws.calls_of("GetSecretValue").len(), 2, "each version is read once");
}

#[tokio::test]
async fn a_401_is_followed_at_once_by_a_post_with_the_old_signature_in_the_same_attempt() {
    for refusal in [401, 403] {
        let refused = answer(refusal, &[], b"Invalid signature");
        let (receiver, hook, aws, sender) = rotated(first(refused, status(200)), 60).await;
        assert_eq!(deliver(&sender, &[message(&hook, 1)]).await, [""; 0]);
        let arrivals = receiver.arrivals();
        let [new, old] = arrivals.as_slice() else { panic!("{arrivals:?}") };
        assert_eq!(signers(new), (vec![SECRET], vec![SECRET, OLD]));
        assert_eq!(signers(old), (vec![OLD], vec![SECRET, OLD]));
        let others = |arrival: &Arrival| -> Vec<_> {
            let other = |(name, _): &(&str, &str)| *name != "x-docintell-signature";
            let headers = arrival.headers().filter(other);
            headers.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
        };
        assert_eq!((others(old), &old.body), (others(new), &new.body));
        assert_eq!(receiver.connections(), 1, "the second POST uses the same connection");
        let delivered = json!("delivered");
        assert_eq!(logged(&aws), [delivered, json!(refusal), json!(200), Value::Null]);
        assert_eq!(aws.calls_of("BatchWriteItem").len(), 1, "it is a success at the first attempt");
        let log = sender.finish().await;
        assert_lacks(&log, "whsec_");
    }
}

#[tokio::test]
async fn the_answer_to_the_second_post_counts() {
    let (receiver, hook, aws, sender) = rotated(first(status(403), status(500)), 60).await;
    assert_eq!(deliver(&sender, &[message(&hook, 1)]).await, ["m0"]);
    assert_eq!(visibilities(&aws), [("handle-0".to_owned(), 1)]);
    let error = json!("the endpoint answered 500");
    assert_eq!(logged(&aws), [json!("pending"), json!(403), json!(500), error]);
    assert_eq!(receiver.arrivals().len(), 2);
    assert_contains(&sender.finish().await, r#""http.first_status":403"#);

    let (receiver, hook, aws, sender) = rotated(status(401), 60).await;
    assert_eq!(deliver(&sender, &[message(&hook, 1)]).await, [""; 0]);
    let error = json!("the endpoint answered 401");
    assert_eq!(logged(&aws), [json!("failed"), json!(401), json!(401), error]);
    let dead_letters = aws.queued(DEAD_LETTERS);
    assert_eq!(dead_letters[0].attributes["attempts"], "1");
    assert_eq!((dead_letters.len(), receiver.arrivals().len()), (1, 2));
}

#[tokio::test]
async fn a_second_post_without_an_answer_is_retried() {
    for (then, error) in [
        (vec![Act::HangUp], "the endpoint closed the connection without an answer"),
        (after(ms(30_000), status(200)), "no answer within 10 s"),
    ] {
        let refused = after(ms(4000), status(401));
        let (receiver, hook, aws, sender) = rotated(first(refused, then), 60).await;
        assert_eq!(deliver(&sender, &[message(&hook, 1)]).await, ["m0"]);
        assert_eq!(logged(&aws), [json!("pending"), json!(401), Value::Null, json!(error)]);
        assert_eq!(receiver.arrivals().len(), 2);
        let duration = aws.logged()[0]["attempts"][0]["duration_ms"].as_u64();
        assert!(duration.is_some_and(|ms| ms < 13_000), "both POSTs share 10 s: {duration:?}");
    }
}

#[tokio::test]
async fn a_401_without_time_for_a_second_post_is_not_final() {
    let late = after(Duration::from_millis(9100), status(401));
    let (receiver, hook, aws, sender) = rotated(late, 60).await;
    assert_eq!(deliver(&sender, &[message(&hook, 1)]).await, ["m0"]);
    let error = json!("no answer within 10 s");
    assert_eq!(logged(&aws), [json!("pending"), json!(401), Value::Null, error]);
    assert_eq!(receiver.arrivals().len(), 1);
}

#[tokio::test]
async fn other_client_errors_are_final_during_an_overlap() {
    for code in [400, 404, 410] {
        let (receiver, hook, aws, sender) = rotated(status(code), 60).await;
        assert_eq!(deliver(&sender, &[message(&hook, 1)]).await, [""; 0]);
        assert_eq!((aws.queued(DEAD_LETTERS).len(), receiver.arrivals().len()), (1, 1), "{code}");
    }
}

#[tokio::test]
async fn a_401_after_the_overlap_is_final_and_the_old_secret_neither_signs_nor_is_read() {
    let (receiver, hook, aws, sender) = rotated(status(401), -1).await;
    assert_eq!(deliver(&sender, &[message(&hook, 1)]).await, [""; 0]);
    let arrivals = receiver.arrivals();
    assert_eq!(arrivals.len(), 1);
    assert_eq!(signers(&arrivals[0]), (vec![SECRET], vec![SECRET]));
    let error = json!("the endpoint answered 401");
    assert_eq!(logged(&aws), [json!("failed"), Value::Null, json!(401), error]);
    assert_eq!(aws.queued(DEAD_LETTERS).len(), 1);
    assert_eq!(aws.calls_of("GetSecretValue").len(), 1);
}

#[tokio::test]
async fn a_rotation_and_its_end_cost_one_further_read_of_a_secret() {
    let (receiver, mut hook, aws, sender) = rotated(status(200), -1).await;
    deliver(&sender, &[message(&hook, 1)]).await;
    let version = hook["secret_version"].clone();
    hook["secret_version"] = json!("next");
    aws.keep_secret("next", OLD);
    let until = previous_secret(60)["until"].clone();
    for previous in [json!({"version": version, "until": until}), Value::Null] {
        hook["previous_secret"] = previous;
        aws.replace_webhooks([&hook]);
        deliver(&sender, &[message(&hook, 2), message(&hook, 3)]).await;
    }
    let signed: Vec<_> = receiver.arrivals().iter().map(|it| signers(it).1.len()).collect();
    assert_eq!(signed, [1, 2, 2, 1, 1]);
    assert_eq!(aws.calls_of("GetSecretValue").len(), 2);
}

#[tokio::test]
async fn an_unreadable_previous_secret_blocks_the_delivery_without_an_attempt() {
    let (receiver, hook, aws, sender) = rotated(status(200), 60).await;
    aws.on("GetSecretValue", |input, before| {
        (before < 2 && input["VersionId"] == OLD_VERSION)
            .then_some(Reply::Refused("ResourceNotFoundException"))
    });
    assert_eq!(deliver(&sender, &[message(&hook, 1)]).await, [""; 0]);
    let copy = &aws.queued(DELIVERIES)[0];
    assert_eq!((copy.delay, delivery(copy).attempts_before), (Some(30), 0));
    assert_eq!((receiver.connections(), aws.logged().len()), (0, 0));

    let again: Value = serde_json::from_str(&copy.body).expect("it is a message");
    assert_eq!(deliver(&sender, &[again]).await, [""; 0]);
    assert_eq!(signers(&receiver.arrivals()[0]), (vec![SECRET], vec![SECRET, OLD]));
    let log = sender.finish().await;
    assert_contains(&log, "the previous secret cannot be read");
    assert_contains(&log, "ERROR");
}
