//! Help for the commands that work on this machine: the local stack, the receiver, doctor, jobs and completions.

use super::Help;

pub(super) const HELP: &[Help] = &[
    Help {
        command: "local",
        about: "\
Builds the functions, deploys template.yaml to an AWS emulator on this machine, and shows every delivery until Ctrl-C. A \
demo processes two documents and delivers their events to a receiver of its own; a third delivery fails and is sent again. \
It needs a checkout, Rust and Python, neither Docker nor an AWS account.

With --json, the first object has the type `stack` and all that a program needs: the API's URL and key, the tenant, tables \
and queues. Each attempt follows as a `delivery`, and each warning or error of a function as a `problem`.",
        changes: "only files below target/ of the checkout. Ctrl-C deletes the stack and its data.",
        examples: &[
            ("The whole service with its demo, the API on port 3000", "local"),
            ("An empty stack on another port", "local --no-demo --api-port 3001"),
            ("For a script: wait for the first line, which has the URL and the key", "local --no-demo --json"),
        ],
    },
    Help {
        command: "listen",
        about: "\
For a signature that does not match, it says which usual mistake explains it. With the local stack it registers a webhook \
for all events, follows the stack when that restarts, and removes its webhook at Ctrl-C. With --secret it needs no stack: \
it checks whatever reaches the port.

It answers 200 to a verified request and 401 to any other, unless --status, --responses or --forward says otherwise.",
        changes: "on the local stack one webhook, as long as it runs. With --secret nothing.",
        examples: &[
            ("Show the local stack's deliveries", "listen"),
            ("Let each delivery fail twice, so that it is retried", "listen --responses 500,500,200"),
            (
                "Pass requests on to your own server, and show what it answers",
                "listen --forward http://127.0.0.1:8000/webhooks",
            ),
            ("Verify what reaches this port, for example through a tunnel", "listen --secret whsec_…"),
        ],
    },
    Help {
        command: "doctor",
        about: "\
Run it after a deployment and at the start of an incident. Each check is one line: ✓ is fine, ! works but should be looked \
at, ✗ is wrong, – was not checked. A sentence below says what is wrong and what to do. The exit code is 3 if something is \
wrong.",
        changes: "nothing that stays: it makes an API key, a webhook and a job of a tenant of its own, and removes them.",
        examples: &[
            ("The local stack", "doctor"),
            (
                "A stack on AWS, all but a delivery from end to end",
                "doctor --stack-name docintell-webhooks",
            ),
            (
                "Also send an event to this endpoint, which must answer 2xx",
                "doctor --stack-name docintell-webhooks --url https://example.com/webhooks",
            ),
            ("Only what is wrong, with jq", "doctor --json | jq 'select(.status == \"fault\")'"),
        ],
    },
    Help {
        command: "job",
        about: "\
Plays the document pipeline: each state that is written to the jobs table becomes an event for the tenant's webhooks. A job \
only moves forward: queued, processing, then completed or failed.",
        changes: "one row of the jobs table. Its events reach real endpoints: on AWS, use a tenant of your own.",
        examples: &[
            ("All states of a new document", "job complete"),
            ("A document that fails", "job fail --message \"The file is encrypted\""),
            ("Step by step", "job upload"),
        ],
    },
    Help {
        command: "job upload",
        about: "Writes a new job in the state `queued`, which sends document.uploaded.",
        changes: "a new row of the jobs table.",
        examples: &[
            ("A new document of the local stack's tenant", "job upload"),
            ("With ids that you recognize", "job upload --job-id invoice-7 --document-id document-7"),
            (
                "For a tenant of a stack on AWS",
                "job upload --stack-name docintell-webhooks-staging --tenant-id TENANT",
            ),
        ],
    },
    Help {
        command: "job process",
        about: "Moves a job to `processing`. No event belongs to this state.",
        changes: "the job's row; without --job-id, of a new document.",
        examples: &[
            ("A job that `job upload` has printed", "job process --job-id JOB"),
            ("A new document", "job process"),
        ],
    },
    Help {
        command: "job complete",
        about: "Moves a job to `completed`, which sends document.processing.completed.",
        changes: "the job's row; without --job-id, a new document is uploaded and processed first.",
        examples: &[
            ("A new document, through all states", "job complete"),
            ("Values for the event's body", "job complete --pages 3 --seconds 1.5 --ir-version v002"),
            ("A job that is being processed", "job complete --job-id JOB"),
        ],
    },
    Help {
        command: "job fail",
        about: "Moves a job to `failed`, which sends document.processing.failed.",
        changes: "the job's row; without --job-id, a new document is uploaded and processed first.",
        examples: &[
            ("A new document that fails", "job fail"),
            ("With the message of the event's body", "job fail --message \"The file is encrypted\""),
            ("A job that is being processed", "job fail --job-id JOB"),
        ],
    },
    Help {
        command: "completions",
        about: "\
The script is for a program named `docintell`, as `cargo install --locked --path cli` installs it. Where to put it:

  bash        ~/.local/share/bash-completion/completions/docintell
  zsh         a file _docintell in a folder of $fpath, such as ~/.zfunc/_docintell
  fish        ~/.config/fish/completions/docintell.fish
  elvish      at the end of ~/.config/elvish/rc.elv
  powershell  at the end of the file $PROFILE",
        changes: "nothing. Start a new shell after you have saved the script.",
        examples: &[
            ("In this bash only", "completions bash > /tmp/docintell && source /tmp/docintell"),
            (
                "For every new fish",
                "completions fish > ~/.config/fish/completions/docintell.fish",
            ),
            ("For every new zsh, if ~/.zfunc is in $fpath", "completions zsh > ~/.zfunc/_docintell"),
        ],
    },
];
