//! Outputs of a stack, for tests.

use crate::stack::Outputs;

pub(super) fn outputs() -> Outputs {
    let url = |name: &str| format!("https://sqs.eu-west-1.amazonaws.com/1/{name}");
    let name = str::to_owned;
    Outputs {
        api_url: "https://api".to_owned(),
        api_function_name: name("api"),
        fanout_function_name: name("fanout"),
        sender_function_name: name("sender"),
        replay_function_name: name("replay"),
        function_alias: name("live"),
        jobs_table: Some(name("jobs")),
        webhooks_table: name("webhooks"),
        webhook_audit_table: name("audit"),
        api_keys_table: name("keys"),
        deliveries_table: name("deliveries"),
        replays_table: name("replays"),
        replay_queue_url: url("replays"),
        delivery_queue_url: url("deliveries"),
        dead_letter_queue_url: url("letters"),
        pipeline_faults_queue_url: url("faults"),
        delivery_log_days: name("30"),
        audit_days: name("400"),
        secrets_prefix: name("prod"),
    }
}
