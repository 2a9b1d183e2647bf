//! The phases of an attempt in the delivery log.

use harness::fixtures::{message, webhook};
use harness::{Authority, FakeAws, Receiver, after, status};
use serde_json::Value;

use super::{deliver, ms, one_webhook, sender, sender_with};

/// The phases of the attempt that was logged as number `number`, from 0; null if there are none.
fn phases(aws: &FakeAws, number: usize) -> Value {
    aws.logged()[number]["attempts"][0]["phases"].clone()
}

fn names(phases: &Value) -> Vec<&str> {
    phases.as_object().into_iter().flatten().map(|(name, _)| name.as_str()).collect()
}

#[tokio::test]
async fn only_a_new_connection_has_phases_besides_the_first_byte() {
    let receiver = Receiver::start(after(ms(200), status(200))).await;
    let hook = webhook(&format!("http://localhost:{}/", receiver.address().port()));
    let (aws, sender) = sender([&hook]).await;
    for number in 1..=2 {
        assert_eq!(deliver(&sender, &[message(&hook, number)]).await, [""; 0]);
    }
    assert_eq!((receiver.connections(), receiver.arrivals().len()), (1, 2));
    let [new, kept] = [0, 1].map(|number| phases(&aws, number));
    assert_eq!(names(&new), ["connect_ms", "dns_ms", "first_byte_ms"]);
    assert_eq!(names(&kept), ["first_byte_ms"]);
    for (phases, row) in [&new, &kept].into_iter().zip(aws.logged()) {
        let first_byte = phases["first_byte_ms"].as_u64().expect("it is a number");
        let duration = row["attempts"][0]["duration_ms"].as_u64().expect("it is a number");
        assert!((200..=duration).contains(&first_byte), "{row}");
    }
}

#[tokio::test]
async fn an_address_in_a_url_is_not_resolved_and_a_connection_over_tls_is_one_phase() {
    let authority = Authority::new("phases");
    let trusted = [("EXTRA_CA_FILE", authority.file().to_str().expect("it is ASCII"))];
    let (aws, sender) = sender_with(&[], &trusted).await;
    let receiver = Receiver::start_tls(status(200), authority.server("127.0.0.1")).await;
    let hook = webhook(&receiver.url());
    aws.replace_webhooks([&hook]);
    assert_eq!(deliver(&sender, &[message(&hook, 1)]).await, [""; 0]);
    assert_eq!(names(&phases(&aws, 0)), ["connect_ms", "first_byte_ms"]);
}

#[tokio::test]
async fn an_attempt_without_a_response_has_only_the_phases_that_were_completed() {
    let unresolved = webhook("http://does-not-exist.invalid/");
    let (aws, sender) = sender([&unresolved]).await;
    deliver(&sender, &[message(&unresolved, 1)]).await;
    assert_eq!(names(&phases(&aws, 0)), ["dns_ms"]);

    let (_receiver, silent, aws, sender) = one_webhook(vec![harness::Act::Wait(ms(30_000))]).await;
    deliver(&sender, &[message(&silent, 1)]).await;
    assert_eq!(names(&phases(&aws, 0)), ["connect_ms"]);
}
