//! `Retry-After`, and the client errors that the stack retries.

use std::time::{Duration, SystemTime};

use harness::fixtures::{DEAD_LETTERS, DELIVERIES, TENANT, batch, message, webhook};
use harness::{FakeAws, Hosted, Receiver, answer, assert_contains};
use serde_json::Value;

use super::{deliver, delivery, one_webhook, sender_with, visibilities};

/// A sender that gets this response, from a stack that retries these client errors.
async fn answered(
    code: u16,
    retry_after: Option<&str>,
    retried: &str,
) -> (Receiver, Value, FakeAws, Hosted) {
    let headers: Vec<_> = retry_after.into_iter().map(|value| ("Retry-After", value)).collect();
    let receiver = Receiver::start(answer(code, &headers, b"")).await;
    let hook = webhook(&receiver.url());
    let (aws, sender) = sender_with([&hook], &[("RETRIED_CLIENT_ERRORS", retried)]).await;
    (receiver, hook, aws, sender)
}

/// The delay of the copy that replaces the message of a delivery; `None` if the message itself is hidden for the
/// schedule's first second.
async fn delay(code: u16, retry_after: Option<&str>, retried: &str) -> Option<u64> {
    let (_receiver, hook, aws, sender) = answered(code, retry_after, retried).await;
    let reported = deliver(&sender, &[message(&hook, 1)]).await;
    assert_eq!(aws.logged()[0]["status"], "pending");
    assert!(aws.queued(DEAD_LETTERS).is_empty());
    let Some(copy) = aws.queued(DELIVERIES).pop() else {
        assert_eq!(
            (reported, visibilities(&aws)),
            (vec!["m0".into()], vec![("handle-0".into(), 1)])
        );
        return None;
    };
    assert_eq!((reported, visibilities(&aws)), (vec![], vec![]), "the copy replaces the message");
    assert_eq!((delivery(&copy).attempts_before, copy.group.as_deref()), (1, Some(TENANT)));
    copy.delay
}

#[tokio::test]
async fn a_503_is_retried_after_the_seconds_it_asks_for_up_to_15_minutes() {
    for (value, expected) in
        [("120", Some(120)), ("86400", Some(900)), ("1", None), ("soon", None), ("-5", None)]
    {
        assert_eq!(delay(503, Some(value), "").await, expected, "{value}");
    }
    assert_eq!(delay(500, Some("120"), "").await, None, "only 429 and 503 can ask");
}

#[tokio::test]
async fn a_503_is_retried_at_the_date_it_asks_for() {
    let date = |seconds| httpdate::fmt_http_date(SystemTime::now() + Duration::from_secs(seconds));
    let waited = delay(503, Some(&date(600)), "").await.expect("the wait is longer than 1 s");
    // The machine may be slow between the test and the response.
    assert!((400..=600).contains(&waited), "{waited}");
    assert_eq!(delay(503, Some(&date(90_000)), "").await, Some(900));
    assert_eq!(delay(503, Some("Sun, 06 Nov 1994 08:49:37 GMT"), "").await, None);
}

#[tokio::test]
async fn a_429_is_final_unless_the_stack_retries_it() {
    let (receiver, hook, aws, sender) = answered(429, Some("5"), "408").await;
    assert_eq!(deliver(&sender, &[message(&hook, 1)]).await, [""; 0]);
    assert_eq!((aws.queued(DEAD_LETTERS).len(), receiver.arrivals().len()), (1, 1));

    assert_eq!(delay(429, Some("5"), "408,429").await, Some(5));
    assert_eq!(delay(429, None, "429").await, None);
    assert_eq!(delay(408, Some("5"), "408,429").await, None, "a 408 cannot ask for a wait");
}

#[tokio::test]
async fn a_delayed_copy_continues_the_attempts_and_the_last_one_is_a_dead_letter() {
    let (_receiver, hook, aws, sender) =
        one_webhook(answer(503, &[("Retry-After", "60")], b"")).await;
    deliver(&sender, &[message(&hook, 1)]).await;
    for number in 2..=5 {
        let copy = aws.take_queued(DELIVERIES).remove(0);
        assert_eq!(sender.report(batch([(copy.body.as_str(), 1)])).await, [""; 0], "{number}");
        assert_eq!(aws.logged().last().expect("it is logged")["attempts"][0]["number"], number);
    }
    assert!(aws.queued(DELIVERIES).is_empty());
    assert_eq!(aws.queued(DEAD_LETTERS)[0].attributes["attempts"], "5");
}

#[tokio::test]
async fn an_unknown_client_error_stops_the_start() {
    let aws = FakeAws::with_webhooks([]).await;
    let environment = aws.environment_with(&[("RETRIED_CLIENT_ERRORS", "429,404")]);
    let log = Hosted::start("sender", &environment).await.ended().await;
    assert_contains(&log, "RETRIED_CLIENT_ERRORS) is wrong: `429,404`: `404` is not one of");
}
