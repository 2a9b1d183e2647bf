//! Messages that are sent to queues, and the answers to that.

use std::collections::HashMap;

use serde_json::{Value, json};

use super::refusals;

/// A message on a queue.
#[derive(Debug, Clone)]
pub struct Queued {
    /// Its text.
    pub body: String,
    /// `MessageGroupId`.
    pub group: Option<String>,
    /// `DelaySeconds`.
    pub delay: Option<u64>,
    /// Its string attributes.
    pub attributes: HashMap<String, String>,
}

/// The answer to a `SendMessageBatch` that takes every entry but those whose body `is_refused`, and those that
/// AWS refuses.
pub fn sent_but(input: &Value, sender_fault: bool, is_refused: impl Fn(&str) -> bool) -> Value {
    let told = if sender_fault { "InvalidMessageContents" } else { "InternalError" };
    let (mut sent, mut failed) = (Vec::new(), Vec::new());
    for entry in entries(input) {
        let refusal = match refusals::of_message(entry) {
            Some(code) => Some((code, true)),
            None if is_refused(entry["MessageBody"].as_str().unwrap_or_default()) => {
                Some((told, sender_fault))
            }
            None => None,
        };
        let id = &entry["Id"];
        match refusal {
            None => sent.push(json!({"Id": id, "MessageId": "m", "MD5OfMessageBody": ""})),
            Some((code, sender_fault)) => failed.push(
                json!({"Id": id, "SenderFault": sender_fault, "Code": code, "Message": "refused"}),
            ),
        }
    }
    json!({"Successful": sent, "Failed": failed})
}

/// The entries of a `SendMessageBatch`.
pub(super) fn entries(input: &Value) -> &[Value] {
    input["Entries"].as_array().map_or(&[], Vec::as_slice)
}

/// The messages of a request that are on the queue, by its answer.
pub(super) fn taken(input: &Value, answer: &Value) -> impl Iterator<Item = Queued> {
    let single = Some(input).filter(|input| input["MessageBody"].is_string());
    let sent = answer["Successful"].as_array().map_or(&[][..], Vec::as_slice);
    let is_sent = |entry: &&Value| sent.iter().any(|it| it["Id"] == entry["Id"]);
    single.into_iter().chain(entries(input).iter().filter(is_sent)).map(queued)
}

fn queued(message: &Value) -> Queued {
    let attributes = message["MessageAttributes"].as_object().into_iter().flatten();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    Queued {
        body: text(&message["MessageBody"]),
        group: message["MessageGroupId"].as_str().map(str::to_owned),
        delay: message["DelaySeconds"].as_u64(),
        attributes: attributes
            .map(|(name, value)| (name.clone(), text(&value["StringValue"])))
            .collect(),
    }
}
