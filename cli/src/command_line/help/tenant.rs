//! Help for `webhooks`, `deliveries` and `replay`.

use super::Help;

pub(super) const HELP: &[Help] = &[
    Help {
        command: "webhooks",
        about: "\
For an operator who helps a tenant. Health is `ok`, `failing` (a delivery failed for good, and none has \
succeeded since) or `disabled` (switched off, by its owner or by the service).",
        changes: "`list`, `show` and `history` change nothing, `enable` and `disable` do.",
        examples: &[
            ("Webhooks of the local stack's tenant", "webhooks list"),
            (
                "Of a tenant of a stack on AWS",
                "webhooks list --stack-name docintell-webhooks --tenant-id TENANT",
            ),
            ("Switch one on again", "webhooks enable WEBHOOK"),
        ],
    },
    Help {
        command: "webhooks list",
        about: "Shows since when a webhook fails, and since when and why it is off.",
        changes: "nothing.",
        examples: &[
            ("Webhooks of the local stack's tenant", "webhooks list"),
            ("Which ones are off, with jq", "webhooks list --json | jq 'select(.is_active | not)'"),
        ],
    },
    Help {
        command: "webhooks show",
        about: "Shows every field of the webhook but its signing secret, which the service shows to its owner only.",
        changes: "nothing.",
        examples: &[
            ("A webhook from `webhooks list`", "webhooks show WEBHOOK"),
            ("For a script", "webhooks show WEBHOOK --json"),
        ],
    },
    Help {
        command: "webhooks history",
        about: "\
Shows each change with its time, the API key that made it, and the fields before and after. Signing secrets are never \
shown. The history stays for some time after the webhook's deletion.",
        changes: "nothing.",
        examples: &[
            ("A webhook from `webhooks list`, or one that is deleted", "webhooks history WEBHOOK"),
            ("For a script", "webhooks history WEBHOOK --json"),
        ],
    },
    Help {
        command: "webhooks enable",
        about: "\
Deliveries start again with the next event. What the webhook missed is kept as `skipped`: the command prints the replay \
that sends it.",
        changes: "the webhook's row, and announces the change on the event bus, as the API does.",
        examples: &[
            ("After its endpoint was repaired", "webhooks enable WEBHOOK"),
            (
                "On AWS",
                "webhooks enable WEBHOOK --stack-name docintell-webhooks --tenant-id TENANT",
            ),
        ],
    },
    Help {
        command: "webhooks disable",
        about: "\
Nothing more is sent, not even what is queued. Events are kept as `skipped` deliveries for some time, so that they can be \
replayed.",
        changes: "the webhook's row, and announces the change on the event bus, as the API does.",
        examples: &[
            ("An endpoint that must not be called now", "webhooks disable WEBHOOK"),
            (
                "On AWS",
                "webhooks disable WEBHOOK --stack-name docintell-webhooks --tenant-id TENANT",
            ),
        ],
    },
    Help {
        command: "deliveries",
        about: "\
A delivery is one event for one webhook; the log keeps each attempt. A tenant with several webhooks needs --webhook-id for \
`list`.",
        changes: "`list` and `show` change nothing, `retry` sends.",
        examples: &[
            ("What failed in the last two hours", "deliveries list --status failed --since 2h"),
            ("Why", "deliveries show DELIVERY"),
            ("Send it again", "deliveries retry DELIVERY"),
        ],
    },
    Help {
        command: "deliveries list",
        about: "\
Statuses: `pending` (attempts are under way), `delivered`, `failed`, `cancelled` (the webhook was switched off \
or deleted meanwhile), `skipped` (the webhook was off already). Options narrow the list; a delivery must fit all of them.",
        changes: "nothing.",
        examples: &[
            ("The last 50 of the tenant's only webhook", "deliveries list"),
            (
                "What did not arrive in the last two hours",
                "deliveries list --webhook-id WEBHOOK --status failed,cancelled,skipped --since 2h",
            ),
            ("What became of one job's events", "deliveries list --job-id JOB"),
            (
                "The errors and how often, with jq",
                "deliveries list --json | jq -r .last_error | sort | uniq -c",
            ),
        ],
    },
    Help {
        command: "deliveries show",
        about: "\
Shows when each attempt was made, how long each of its phases took, and what the endpoint answered; then the exact body.",
        changes: "nothing.",
        examples: &[
            ("A delivery from `deliveries list`", "deliveries show DELIVERY"),
            ("Its body alone, with jq", "deliveries show DELIVERY --json | jq -r .body"),
            ("Of a webhook that is deleted", "deliveries show DELIVERY --webhook-id WEBHOOK"),
        ],
    },
    Help {
        command: "deliveries retry",
        about: "\
Each delivery gets a new chain of attempts at once, also if it was delivered before. What is under way, or whose webhook \
is off, is refused. The exit code is 1 if one was not started.",
        changes: "sends POSTs to the tenant's endpoint, and logs the new attempts.",
        examples: &[
            ("One delivery", "deliveries retry DELIVERY"),
            (
                "Several of a tenant on AWS",
                "deliveries retry DELIVERY DELIVERY --stack-name docintell-webhooks --tenant-id TENANT",
            ),
        ],
    },
    Help {
        command: "replay",
        about: "\
A replay sends all deliveries of a webhook that fit a filter again, at a set pace, for example what an outage missed. It \
runs in the service: the command may end before it.",
        changes: "`list` and `show` change nothing; the others start, pace or end the sending.",
        examples: &[
            ("What would be sent", "replay start --since 2h --dry-run"),
            ("Send it, and watch", "replay start --since 2h --watch"),
            ("Which replays there are", "replay list"),
        ],
    },
    Help {
        command: "replay start",
        about: "\
Counts first what it would send, and shows a sample. By default it chooses what did not arrive: failed, skipped and \
cancelled. A webhook has one replay at a time.",
        changes: "sends POSTs to the tenant's endpoint, and logs the new attempts. --dry-run changes nothing.",
        examples: &[
            ("How much it would be", "replay start --since 1d --dry-run"),
            (
                "What an outage missed",
                "replay start --webhook-id WEBHOOK --since 2025-12-03T10:00:00Z --until 2025-12-03T12:30:00Z",
            ),
            (
                "Everything of one document, also what has arrived",
                "replay start --since 30d --document-id DOCUMENT --all",
            ),
            ("Slowly, and follow it", "replay start --since 2h --rate 5 --watch"),
        ],
    },
    Help {
        command: "replay list",
        about: "Shows how many deliveries each replay has sent, of how many; newest first.",
        changes: "nothing.",
        examples: &[
            ("Of all webhooks of the tenant", "replay list"),
            ("Of one", "replay list --webhook-id WEBHOOK"),
        ],
    },
    Help {
        command: "replay show",
        about: "With --watch, it follows the replay, and the exit code is 1 if that ends before it is completed.",
        changes: "nothing. Ctrl-C ends the watching; the replay goes on.",
        examples: &[
            ("A replay from `replay list`", "replay show REPLAY"),
            ("Until it ends", "replay show REPLAY --watch"),
        ],
    },
    Help {
        command: "replay pause",
        about: "Nothing more is sent within seconds. What is queued is still delivered.",
        changes: "the replay's row. `replay resume` goes on where it stopped.",
        examples: &[
            ("The endpoint needs a rest", "replay pause REPLAY"),
            ("On AWS", "replay pause REPLAY --stack-name docintell-webhooks --tenant-id TENANT"),
        ],
    },
    Help {
        command: "replay resume",
        about: "Goes on where the replay stopped. A replay whose webhook is off is refused.",
        changes: "the replay's row. It sends again.",
        examples: &[
            ("A paused or failed replay", "replay resume REPLAY"),
            ("And follow it", "replay show REPLAY --watch"),
        ],
    },
    Help {
        command: "replay cancel",
        about: "Ends the replay for good; what it has sent stays sent. Then another one can be started.",
        changes: "the replay's row. This cannot be undone.",
        examples: &[
            ("A replay with a wrong filter", "replay cancel REPLAY"),
            ("On AWS", "replay cancel REPLAY --stack-name docintell-webhooks --tenant-id TENANT"),
        ],
    },
];
