//! Messages on queues, and the answers to requests that send them.

use std::collections::HashMap;

use serde_json::{Value, json};

use super::refusals;

/// A message on a queue.
#[derive(Debug, Clone)]
pub struct Queued {
    pub body: String,
    /// `MessageGroupId`.
    pub group: Option<String>,
    /// `DelaySeconds`.
    pub delay: Option<u64>,
    /// String attributes only.
    pub attributes: HashMap<String, String>,
}

/// The answer to a `SendMessageBatch` that refuses entries whose body `is_refused`, and entries that AWS refuses.
pub fn sent_but(input: &Value, sender_fault: bool, is_refused: impl Fn(&str) -> bool) -> Value {
    let code = if sender_fault { "InvalidMessageContents" } else { "InternalError" };
    let (mut sent, mut failed) = (Vec::new(), Vec::new());
    for entry in entries(input) {
        let refusal = match refusals::of_message(entry) {
            Some(code) => Some((code, true)),
            None if is_refused(entry["MessageBody"].as_str().unwrap_or_default()) => {
                Some((code, sender_fault))
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

/// The messages of a request that its answer accepts.
pub(super) fn accepted(input: &Value, answer: &Value) -> impl Iterator<Item = Queued> {
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
