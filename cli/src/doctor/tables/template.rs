//! The tables of template.yaml, as far as doctor checks them.

use crate::stack::Outputs;

#[derive(Debug)]
pub(crate) struct Table {
    /// Its name in the template, and that of its output.
    pub(crate) name: &'static str,
    /// `None` if the stack has no such table.
    pub(crate) of: fn(&Outputs) -> Option<&str>,
    /// Partition key, and sort key if there is one.
    pub(crate) key: &'static [&'static str],
    /// Name and key of its index.
    pub(super) index: Option<(&'static str, &'static [&'static str])>,
    /// Whether DynamoDB removes rows whose `ttl` has passed.
    pub(super) expires: bool,
    pub(super) has_stream: bool,
}

pub(crate) const JOBS: Table = Table {
    name: "JobsTable",
    of: |outputs| outputs.jobs_table.as_deref(),
    key: &["job_id"],
    index: None,
    expires: false,
    has_stream: true,
};
pub(crate) const API_KEYS: Table = Table {
    name: "ApiKeysTable",
    of: |outputs| Some(&outputs.api_keys_table),
    key: &["key_hash"],
    index: Some(("tenant_id-index", &["tenant_id"])),
    expires: false,
    has_stream: false,
};
pub(crate) const WEBHOOKS: Table = Table {
    name: "WebhooksTable",
    of: |outputs| Some(&outputs.webhooks_table),
    key: &["tenant_id", "webhook_config_id"],
    index: None,
    expires: true,
    has_stream: false,
};
pub(crate) const AUDIT: Table = Table {
    name: "WebhookAuditTable",
    of: |outputs| Some(&outputs.webhook_audit_table),
    key: &["webhook", "change_id"],
    index: None,
    expires: true,
    has_stream: false,
};
pub(crate) const DELIVERIES: Table = Table {
    name: "DeliveriesTable",
    of: |outputs| Some(&outputs.deliveries_table),
    key: &["webhook", "delivery_id"],
    index: Some(("undelivered-index", &["undelivered", "delivery_id"])),
    expires: true,
    has_stream: false,
};
pub(super) const REPLAYS: Table = Table {
    name: "ReplaysTable",
    of: |outputs| Some(&outputs.replays_table),
    key: &["webhook", "replay_id"],
    index: None,
    expires: true,
    has_stream: false,
};

/// In the template's order.
pub(crate) const ALL: [&Table; 6] = [&WEBHOOKS, &AUDIT, &API_KEYS, &JOBS, &DELIVERIES, &REPLAYS];

impl Table {
    pub(crate) fn check(&self) -> String {
        format!("table {}", self.name)
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::template_text::{TEMPLATE, names_of_type, section, values};
    use super::super::TTL;
    use super::*;

    #[test]
    fn each_table_is_that_of_the_template() {
        assert_eq!(ALL.map(|table| table.name), *names_of_type("AWS::DynamoDB::Table"));
        for table in ALL {
            let text = section(TEMPLATE, table.name);
            let key = |indent: &str| -> Vec<&str> {
                let start = format!("{indent}- {{AttributeName: ");
                let parts =
                    text.lines().filter(|it| it.starts_with(&start) && it.contains("KeyType"));
                parts.flat_map(|part| values(part, "AttributeName")).collect()
            };
            let (index, index_key) = table.index.unzip();
            assert_eq!(key("        "), table.key, "{text}");
            assert_eq!(key("            "), index_key.unwrap_or_default(), "{text}");
            assert_eq!(values(text, "IndexName"), Vec::from_iter(index), "{text}");
            let ttl = format!("TimeToLiveSpecification: {{AttributeName: {TTL}, Enabled: true}}");
            assert_eq!(text.contains(&ttl), table.expires, "{text}");
            let stream = "StreamViewType: NEW_AND_OLD_IMAGES";
            assert_eq!(text.contains(stream), table.has_stream, "{text}");
            assert_eq!(values(text, "PointInTimeRecoveryEnabled"), ["true"], "{text}");
        }
    }
}
