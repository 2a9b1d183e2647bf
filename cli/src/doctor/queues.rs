//! The queues: they exist, park what cannot be processed in the right place, and hide messages long enough. What is
//! parked now is a warning.

mod template;

use std::collections::HashMap;

use aws_sdk_sqs::Client;
use aws_sdk_sqs::types::QueueAttributeName;
use serde::Deserialize;

use super::advice;
use super::failure::Failure;
use super::finding::{Finding, Problem};
use crate::stack::Outputs;
use crate::words::count;
pub(crate) use template::{ALL, Queue};

/// How long messages are kept, in seconds: as long as SQS can.
const RETENTION: u32 = 14 * 24 * 60 * 60;

/// A queue as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Facts {
    pub(crate) arn: String,
    /// Seconds.
    visibility_timeout: u32,
    /// Seconds.
    retention: u32,
    redrive: Option<Redrive>,
    /// Visible and hidden.
    messages: usize,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Redrive {
    #[serde(rename = "deadLetterTargetArn")]
    target: String,
    #[serde(deserialize_with = "number")]
    max_receive_count: u32,
}

/// SQS takes it as a number and as text.
fn number<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<u32, D::Error> {
    let value = serde_json::Value::deserialize(deserializer)?;
    let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    text.parse().map_err(serde::de::Error::custom)
}

/// What is known about one queue of the stack.
#[derive(Debug)]
pub(crate) struct Gathered {
    pub(crate) queue: &'static Queue,
    pub(crate) facts: Result<Facts, Failure>,
}

pub(crate) async fn gather(client: &Client, queue: &'static Queue, outputs: &Outputs) -> Gathered {
    let request = client.get_queue_attributes().queue_url((queue.url)(outputs));
    let response = request.attribute_names(QueueAttributeName::All).send().await;
    let response = response.map_err(Failure::of("sqs:GetQueueAttributes"));
    let facts = response.map(|response| facts(&response.attributes.unwrap_or_default()));
    Gathered { queue, facts }
}

fn facts(attributes: &HashMap<QueueAttributeName, String>) -> Facts {
    use QueueAttributeName as Name;
    let text = |name| attributes.get(&name).map_or("", String::as_str);
    let number = |name| text(name).parse().unwrap_or(0);
    let messages = [Name::ApproximateNumberOfMessages, Name::ApproximateNumberOfMessagesNotVisible];
    Facts {
        arn: text(Name::QueueArn).to_owned(),
        visibility_timeout: number(Name::VisibilityTimeout),
        retention: number(Name::MessageRetentionPeriod),
        redrive: serde_json::from_str(text(Name::RedrivePolicy)).ok(),
        messages: messages.map(|name| text(name).parse::<usize>().unwrap_or(0)).iter().sum(),
    }
}

impl Gathered {
    /// `timeout` is the time limit of the function that reads the queue, in seconds, if it is known.
    pub(crate) fn finding(&self, outputs: &Outputs, timeout: Option<u32>) -> Finding {
        let url = (self.queue.url)(outputs);
        let problems = match &self.facts {
            Ok(facts) => judge(self.queue, facts, outputs, timeout),
            Err(failure) => vec![failure.or_missing(|| missing(url))],
        };
        Finding::of(self.queue.check(), name_of(url), &problems)
    }

    /// What is parked here, if that is what the queue is for. `command` lists dead letters.
    pub(crate) fn parked(&self, command: &str) -> Option<Finding> {
        let command = format!("{command}{}", self.queue.parked?);
        let check = self.queue.parked_check()?;
        match &self.facts {
            Err(_) => Some(Finding::skipped(check, "the queue cannot be read")),
            Ok(facts) => {
                let problems = judge_parked(facts.messages, &command);
                Some(Finding::of(check, "nothing", &problems))
            }
        }
    }
}

fn judge_parked(messages: usize, command: &str) -> Vec<Problem> {
    if messages == 0 {
        return Vec::new();
    }
    vec![Problem::warning(
        format!("About {} waiting for somebody to send again or drop.", are(messages)),
        format!("See why, and whether it has been delivered since: `{command}`."),
    )]
}

fn are(messages: usize) -> String {
    format!("{} {}", count(messages, "message"), if messages == 1 { "is" } else { "are" })
}

fn missing(url: &str) -> Problem {
    Problem::fault(
        format!("There is no queue {url}, which the stack's outputs name."),
        advice::restore_by_hand(),
    )
}

/// The last part of a queue's URL.
fn name_of(url: &str) -> &str {
    url.rsplit('/').next().unwrap_or(url)
}

fn judge(expected: &Queue, facts: &Facts, outputs: &Outputs, timeout: Option<u32>) -> Vec<Problem> {
    let mut problems = Vec::new();
    let mut fault = |message| problems.push(Problem::fault(message, advice::restore_by_hand()));
    if facts.retention < RETENTION {
        fault(format!(
            "It keeps messages for {} s, expected {RETENTION} s (14 days): older ones are lost.",
            facts.retention
        ));
    }
    let Some(read) = &expected.read else { return problems };
    let (target, receives) = (name_of((read.parks_in)(outputs)), read.receives);
    let is_target = |redrive: &Redrive| redrive.target.rsplit(':').next() == Some(target);
    match &facts.redrive {
        None => fault(format!(
            "It has no redrive policy, expected one to {target} after {receives} receives: a message that cannot be \
             processed stays until it expires."
        )),
        Some(redrive) if !is_target(redrive) => fault(format!(
            "Its redrive policy moves messages to {}, expected {target}.",
            redrive.target
        )),
        Some(redrive) if redrive.max_receive_count != receives => fault(format!(
            "Its redrive policy moves messages after {} receives, expected {receives}.",
            redrive.max_receive_count
        )),
        Some(_) => {}
    }
    if let Some(least) = timeout.map(|timeout| timeout * read.times_timeout)
        && facts.visibility_timeout < least
    {
        fault(format!(
            "It hides a received message for {} s, expected at least {least} s: messages that are still being \
             processed are received again.",
            facts.visibility_timeout
        ));
    }
    problems
}

#[cfg(test)]
mod tests {
    use super::super::sample::outputs;
    use super::template::{DEAD_LETTERS, DELIVERIES, REPLAYS};
    use super::*;

    fn healthy(queue: &Queue) -> Facts {
        let redrive = queue.read.as_ref().map(|read| Redrive {
            target: format!("arn:aws:sqs:eu-west-1:1:{}", name_of((read.parks_in)(&outputs()))),
            max_receive_count: read.receives,
        });
        Facts {
            arn: String::new(),
            visibility_timeout: 120,
            retention: RETENTION,
            redrive,
            messages: 0,
        }
    }

    #[test]
    fn a_queue_of_the_template_has_no_problem() {
        for queue in ALL {
            assert_eq!(judge(queue, &healthy(queue), &outputs(), Some(20)), [], "{}", queue.name);
        }
    }

    #[test]
    fn each_difference_from_the_template_is_a_fault() {
        type Change = fn(&mut Facts);
        let other = |facts: &mut Facts| {
            facts.redrive = Some(Redrive { target: "a:b:other".to_owned(), max_receive_count: 5 });
        };
        let cases: [(&Queue, Change, &str); 6] = [
            (&DELIVERIES, |facts| facts.redrive = None, "no redrive policy, expected one to"),
            (&DELIVERIES, other, "moves messages to a:b:other, expected"),
            (
                &REPLAYS,
                |facts| facts.redrive.as_mut().unwrap().max_receive_count = 5,
                "after 5 receives, expected 30",
            ),
            (&DELIVERIES, |facts| facts.visibility_timeout = 119, "119 s, expected at least 120 s"),
            (&REPLAYS, |facts| facts.visibility_timeout = 19, "19 s, expected at least 20 s"),
            (&DEAD_LETTERS, |facts| facts.retention = 345_600, "345600 s, expected 1209600 s"),
        ];
        for (queue, change, expected) in cases {
            let mut facts = healthy(queue);
            change(&mut facts);
            let problems = judge(queue, &facts, &outputs(), Some(20));
            assert_eq!(problems.len(), 1, "{problems:?}");
            assert!(problems[0].message.contains(expected), "{problems:?}");
        }
    }

    #[test]
    fn a_receive_count_is_read_as_number_and_as_text() {
        for number in ["5", "\"5\""] {
            let policy = format!(r#"{{"deadLetterTargetArn":"a:b","maxReceiveCount":{number}}}"#);
            let facts = facts(&[(QueueAttributeName::RedrivePolicy, policy)].into());
            let expected = Redrive { target: "a:b".to_owned(), max_receive_count: 5 };
            assert_eq!(facts.redrive, Some(expected));
        }
    }

    #[test]
    fn parked_messages_are_a_warning_with_the_command_that_lists_them() {
        assert_eq!(judge_parked(0, "docintell dlq list"), []);
        let [one, two] = [1, 2].map(|number| judge_parked(number, "docintell dlq list").remove(0));
        assert!(one.message.starts_with("About 1 message is waiting"), "{one:?}");
        assert!(two.message.starts_with("About 2 messages are waiting"), "{two:?}");
        let action = "See why, and whether it has been delivered since: `docintell dlq list`.";
        assert_eq!(one.action, action);
    }
}
