//! Help for `keys`.

use super::Help;

pub(super) const HELP: &[Help] = &[
    Help {
        command: "keys",
        about: "\
An API key lets a tenant's programs call the HTTP API. The service stores only its hash, so a key is shown once. A change \
takes effect at once.",
        changes: "rows of the table of API keys.",
        examples: &[
            ("A key for the local stack's tenant", "keys create --name laptop"),
            ("Which keys there are", "keys list"),
            (
                "Store a key in a variable: standard output has only the key",
                "keys create --expires-in 30",
            ),
        ],
    },
    Help {
        command: "keys create",
        about: "\
Standard output has only the key, so that a shell can store it; everything else is on standard error. Without --tenant-id, \
a stack on AWS gets a new tenant, whose id is printed too.",
        changes: "a new row of the table of API keys.",
        examples: &[
            ("A key that works for 30 days", "keys create --name laptop --expires-in 30"),
            (
                "For a tenant of a stack on AWS",
                "keys create --stack-name docintell-webhooks --tenant-id TENANT --name billing",
            ),
            ("For a script, with the key's id", "keys create --name ci --json"),
        ],
    },
    Help {
        command: "keys list",
        about: "Shows each key's id, its last characters, and whether it works.",
        changes: "nothing.",
        examples: &[
            ("Keys of the local stack's tenant", "keys list"),
            (
                "Without the SAM CLI: name the table",
                "keys list --api-keys-table TABLE --tenant-id TENANT",
            ),
            ("For a script", "keys list --json"),
        ],
    },
    Help {
        command: "keys rotate",
        about: "\
The new key has the same tenant, name and prefix, and is shown once. Give it to the tenant's programs before the old one \
ends. If the old one expires, the new one is valid for as long as the old one was.",
        changes: "a new row of the table of API keys, and when the old key ends.",
        examples: &[
            ("The old key works for another 7 days", "keys rotate KEY"),
            ("It ends at once", "keys rotate KEY --grace-days 0"),
            (
                "A key of a tenant of a stack on AWS",
                "keys rotate KEY --stack-name docintell-webhooks --tenant-id TENANT",
            ),
        ],
    },
    Help {
        command: "keys revoke",
        about: "The next request with the key gets a 401. A revoked key never works again.",
        changes: "the key's row of the table of API keys. This cannot be undone.",
        examples: &[
            ("A key of the local stack's tenant", "keys revoke KEY"),
            (
                "A key on AWS that has leaked",
                "keys revoke KEY --stack-name docintell-webhooks --tenant-id TENANT",
            ),
        ],
    },
];
