//! A message that a queue refuses stops nothing else and is not sent again unchanged.

use harness::fixtures::{
    BODY, DEAD_LETTERS, DELIVERIES, FAULTS, batch, delivery_id, job_change_with, message,
    sequence_number, text,
};
use harness::{FakeAws, Hosted, Queued, Receiver, Reply, sent_but, status};
use serde_json::{Value, json};

use super::fanout::{self, ten_uploads};
use super::sender::one_webhook;

/// Ten uploads and one poison record.
fn batch_with_poison() -> Value {
    let mut records = ten_uploads();
    records.insert(5, job_change_with(10, "queued", json!({"tenant_id": "acme"})));
    json!({"Records": records})
}

fn body(queued: &Queued) -> Value {
    serde_json::from_str(&queued.body).expect("a fault is JSON")
}

#[tokio::test]
async fn a_placeholder_is_parked_when_the_queue_refuses_a_fault() {
    let reason = "the job's `tenant_id` is not a UUID; expected the form 550e8400-e29b-41d4-a716-446655440000; \
                  the queue refused the record itself";
    let refusal = Reply::Refused("InvalidMessageContents");
    for refused_whole in [None, Some(refusal)] {
        let (aws, fanout) = fanout::one_webhook().await;
        aws.on("SendMessageBatch", move |input, _| {
            let is_refused = |body: &str| body.contains("\"record\"");
            let is_fault = is_refused(input["Entries"][0]["MessageBody"].as_str()?);
            let reply = refused_whole.clone();
            let one_by_one = || Reply::Body(sent_but(input, true, is_refused));
            is_fault.then(|| reply.unwrap_or_else(one_by_one))
        });
        assert_eq!(fanout.report(batch_with_poison()).await, [""; 0]);
        assert_eq!(aws.queued(DELIVERIES).len(), 10);
        let faults = aws.queued(FAULTS);
        let placeholder = json!({
            "source": "fanout",
            "reason": reason,
            "sequence_number": sequence_number(10),
        });
        assert_eq!((faults.len(), body(&faults[0])), (1, placeholder.clone()));
        assert_eq!(json!(faults[0].attributes), placeholder);
        // One batch of deliveries, one of faults, and the placeholder: nothing is sent twice.
        assert_eq!(aws.calls_of("SendMessageBatch").len(), 3);
    }
}

#[tokio::test]
async fn a_record_is_reported_when_its_placeholder_cannot_be_parked() {
    for (refuses_placeholder, sends) in [(true, 2), (false, 4)] {
        let (aws, fanout) = fanout::one_webhook().await;
        aws.on("SendMessageBatch", move |input, _| {
            let is_fault = input["QueueUrl"] == FAULTS;
            let is_placeholder = !input.to_string().contains("\\\"record\\\"");
            let is_refusal = refuses_placeholder || !is_placeholder;
            is_fault.then(|| Reply::Body(sent_but(input, is_refusal, |_| true)))
        });
        assert_eq!(fanout.report(batch_with_poison()).await, [sequence_number(10)]);
        let calls = aws.calls_of("SendMessageBatch");
        let to_faults = calls.iter().filter(|call| call.input["QueueUrl"] == FAULTS).count();
        assert_eq!((aws.queued(DELIVERIES).len(), to_faults), (10, sends));
    }
}

#[tokio::test]
async fn a_batch_refused_for_one_entry_costs_only_that_entry() {
    for code in [
        "AWS.SimpleQueueService.BatchRequestTooLong",
        "InvalidMessageContents",
        "InvalidParameterValue",
    ] {
        let (aws, fanout) = fanout::one_webhook().await;
        aws.on("SendMessageBatch", move |input, _| {
            let is_wrong =
                input["QueueUrl"] == DELIVERIES && input.to_string().contains("000000000005");
            is_wrong.then_some(Reply::Refused(code))
        });
        assert_eq!(fanout.report(json!({"Records": ten_uploads()})).await, [""; 0]);
        let queued = aws.queued(DELIVERIES);
        assert_eq!((queued.len(), aws.queued(FAULTS).len()), (9, 1), "{code}");
        assert!(body(&aws.queued(FAULTS)[0])["record"].to_string().contains("000000000005"));
        // The batch, its ten entries, and the fault.
        assert_eq!(aws.calls_of("SendMessageBatch").len(), 12);
    }
}

/// A fake AWS, a sender, a receiver that answers with `code`, and a message for it.
async fn delivery(code: u16) -> (FakeAws, Hosted, Receiver, String) {
    let (receiver, hook, aws, sender) = one_webhook(status(code)).await;
    let message = text(&message(&hook, 1));
    (aws, sender, receiver, message)
}

/// Makes the queue refuse every message for which `is_refused` returns true.
fn refuse(aws: &FakeAws, url: &'static str, is_refused: fn(&str) -> bool) {
    aws.on("SendMessage", move |input, _| {
        let text = input["MessageBody"].as_str()?;
        (input["QueueUrl"] == url && is_refused(text))
            .then_some(Reply::Refused("InvalidMessageContents"))
    });
}

#[tokio::test]
async fn a_refused_dead_letter_or_copy_is_parked_and_not_posted_again() {
    for (code, url, sentence) in [
        (404, DEAD_LETTERS, "a dead letter cannot be queued: the queue refused the message"),
        (200, DELIVERIES, "a copy cannot be queued: the queue refused the message"),
    ] {
        let (aws, sender, receiver, message) = delivery(code).await;
        refuse(&aws, url, |_| true);
        if url == DELIVERIES {
            aws.always("BatchGetItem", Reply::Broken);
        }
        assert_eq!(sender.report(batch([(message.as_str(), 1)])).await, [""; 0]);
        let fault = body(&aws.queued(FAULTS)[0]);
        let record = fault["record"].as_str().expect("it is text");
        assert!(record.contains(BODY) && record.contains(&delivery_id(1)), "{record}");
        assert_eq!(fault["message_id"], "m0");
        assert!(fault["reason"].as_str().is_some_and(|it| it.starts_with(sentence)), "{fault}");
        assert_eq!(aws.calls_of("ChangeMessageVisibility").len(), 0);
        assert_eq!(receiver.arrivals().len(), usize::from(code == 404));
    }
}

#[tokio::test]
async fn a_message_that_cannot_be_parked_is_replaced_by_its_id() {
    let (aws, sender, _receiver, _message) = delivery(200).await;
    refuse(&aws, FAULTS, |text| text.contains("\"record\""));
    assert_eq!(sender.report(batch([("no delivery", 1)])).await, [""; 0]);
    let fault = &aws.queued(FAULTS)[0];
    let body = body(fault);
    assert_eq!(json!(fault.attributes), body);
    assert_eq!((&body["source"], &body["message_id"]), (&json!("sender"), &json!("m0")));
    let reason = body["reason"].as_str().expect("it is text");
    assert!(reason.starts_with("not a delivery message"), "{reason}");

    aws.break_queue("SendMessage", FAULTS);
    assert_eq!(sender.report(batch([("no delivery", 1)])).await, ["m0"]);
}
