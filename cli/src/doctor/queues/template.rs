//! The queues of template.yaml, as far as doctor checks them.

use crate::stack::Outputs;

#[derive(Debug)]
pub(crate) struct Queue {
    /// Its name in the template.
    pub(crate) name: &'static str,
    pub(crate) url: fn(&Outputs) -> &str,
    /// `None` for a queue of parked messages, which no function reads.
    pub(super) read: Option<Read>,
    /// For a queue of parked messages: the option of `docintell dlq list` that shows them, after a space.
    pub(super) parked: Option<&'static str>,
}

/// How a function reads a queue.
#[derive(Debug)]
pub(crate) struct Read {
    /// The function's name in the template.
    function: &'static str,
    /// A received message is hidden for this many times the function's time limit, at least. AWS advises six for a
    /// function that works on several messages at a time.
    pub(super) times_timeout: u32,
    /// Where messages go that were received too often.
    pub(super) parks_in: fn(&Outputs) -> &str,
    pub(super) receives: u32,
}

pub(super) const DELIVERIES: Queue = Queue {
    name: "DeliveryQueue",
    url: |outputs| &outputs.delivery_queue_url,
    read: Some(Read {
        function: "SenderFunction",
        times_timeout: 6,
        parks_in: |outputs| &outputs.dead_letter_queue_url,
        receives: 5,
    }),
    parked: None,
};
pub(super) const REPLAYS: Queue = Queue {
    name: "ReplayQueue",
    url: |outputs| &outputs.replay_queue_url,
    read: Some(Read {
        function: "ReplayFunction",
        times_timeout: 1,
        parks_in: |outputs| &outputs.pipeline_faults_queue_url,
        receives: 30,
    }),
    parked: None,
};
pub(super) const DEAD_LETTERS: Queue = Queue {
    name: "DeadLetterQueue",
    url: |outputs| &outputs.dead_letter_queue_url,
    read: None,
    parked: Some(""),
};
const FAULTS: Queue = Queue {
    name: "PipelineFaultsQueue",
    url: |outputs| &outputs.pipeline_faults_queue_url,
    read: None,
    parked: Some(" --faults"),
};

/// In the template's order.
pub(crate) const ALL: [&Queue; 4] = [&DELIVERIES, &DEAD_LETTERS, &FAULTS, &REPLAYS];

impl Queue {
    pub(crate) fn check(&self) -> String {
        format!("queue {}", self.name)
    }

    /// `None` if nothing is parked here.
    pub(crate) fn parked_check(&self) -> Option<String> {
        self.parked.map(|_option| format!("parked in {}", self.name))
    }

    /// The name of the function that reads it in the template.
    pub(crate) fn reader(&self) -> Option<&'static str> {
        self.read.as_ref().map(|read| read.function)
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::sample::outputs;
    use super::super::super::template_text::{TEMPLATE, names_of_type, section, values};
    use super::super::RETENTION;
    use super::*;

    fn number(text: &str, key: &str) -> Option<u32> {
        values(text, key).first().map(|value| value.parse().expect("it is a number"))
    }

    #[test]
    fn each_queue_is_that_of_the_template() {
        assert_eq!(ALL.map(|queue| queue.name), *names_of_type("AWS::SQS::Queue"));
        let outputs = outputs();
        for queue in ALL {
            let text = section(TEMPLATE, queue.name);
            assert_eq!(number(text, "MessageRetentionPeriod"), Some(RETENTION), "{text}");
            assert_eq!(number(text, "maxReceiveCount"), queue.read.as_ref().map(|it| it.receives));
            let Some(read) = &queue.read else { continue };
            let parks_in =
                ALL.into_iter().find(|it| (it.url)(&outputs) == (read.parks_in)(&outputs));
            let target = format!("!GetAtt {}.Arn", parks_in.expect("it is a queue").name);
            assert_eq!(values(text, "deadLetterTargetArn"), [target]);
            let function = section(TEMPLATE, read.function);
            assert_eq!(values(function, "Queue"), [format!("!GetAtt {}.Arn", queue.name)]);
            let timeout = number(function, "Timeout").expect("the function has a time limit");
            assert!(
                number(text, "VisibilityTimeout") >= Some(timeout * read.times_timeout),
                "{text}"
            );
        }
    }
}
