//! Help for `dlq`.

use super::Help;

pub(super) const HELP: &[Help] = &[
    Help {
        command: "dlq",
        about: "\
A delivery that failed for good is parked in the dead-letter queue, which raises an alarm. With --faults, the commands work \
on the queue for what the service itself could not process. Ids and filters choose messages; a message must fit all of \
them.",
        changes: "`list` and `show` change nothing, `redrive` and `drop` do.",
        examples: &[
            ("What is parked, and why", "dlq list"),
            ("What a redrive would send", "dlq redrive --reason \"answered 503\" --dry-run"),
            ("Send it", "dlq redrive --reason \"answered 503\""),
            ("What the service could not process", "dlq list --faults"),
        ],
    },
    Help {
        command: "dlq list",
        about: "\
Reads the whole queue and joins each message with its row of the delivery log. The column `log` says what has become of \
the delivery since, and `unattempted` is `yes` if an internal failure moved it here before all attempts were made.",
        changes: "nothing. Other readers of the queue do not see its messages for the seconds of the read.",
        examples: &[
            ("Everything, oldest first", "dlq list"),
            ("What one tenant's endpoints refused in the last hour", "dlq list --tenant-id TENANT --newer-than 1h"),
            ("For a script", "dlq list --json"),
        ],
    },
    Help {
        command: "dlq show",
        about: "Shows the message's body and attributes, and each attempt of its delivery.",
        changes: "nothing.",
        examples: &[
            ("A delivery from `dlq list`", "dlq show DELIVERY"),
            ("What the service could not process of a job", "dlq show JOB --faults"),
        ],
    },
    Help {
        command: "dlq redrive",
        about: "\
Sends each message as a new chain of attempts and then deletes it here. It leaves out what would be useless, such as what \
has been delivered since, or whose webhook is off, and says why. An endpoint that fails again parks its delivery again.

With --json, each message is an object with a `result`: redriven, not_deleted, left_out or failed; in a dry run \
would_redrive or left_out. Messages that Ctrl-C left are missing and still parked.",
        changes: "\
sends POSTs to tenants' endpoints, and removes what was sent from the queue. If it is interrupted, a message may be sent \
twice; none is lost.",
        examples: &[
            ("Look first", "dlq redrive --webhook-id WEBHOOK --dry-run"),
            ("Everything of one webhook, ten a second", "dlq redrive --webhook-id WEBHOOK --rate 10"),
            ("One delivery", "dlq redrive DELIVERY"),
            ("What an internal failure moved here without all attempts", "dlq redrive --unattempted"),
        ],
    },
    Help {
        command: "dlq drop",
        about: "\
For what nobody needs any more. It asks before it deletes, except with --yes, and with --delivered, which chooses only what \
has arrived since.

With --json, each message is an object with a `result`: dropped or failed; in a dry run would_drop. Nobody is asked, so it \
needs --yes.",
        changes: "deletes messages from the queue for good. The delivery log keeps its rows.",
        examples: &[
            ("What has been delivered since", "dlq drop --delivered"),
            ("What is older than ten days: look first", "dlq drop --older-than 10d --dry-run"),
            ("One delivery, without a question", "dlq drop DELIVERY --yes"),
        ],
    },
];
