//! Shows webhooks: as a table, as JSON, or one in full. Pure.
//!
//! The rule: JSON has the API's names. No secret is shown, and none is in a [`Webhook`].

use serde_json::{Value, json};
use webhooks::text::visible;
use webhooks::timestamp::Timestamp;
use webhooks::webhook::{Description, Webhook};

use crate::columns::Columns;
use crate::words::{fields, or_unknown};

/// The fields of [`json`] in the order in which people read them.
const IN_ORDER: [&str; 16] = [
    "webhook_config_id",
    "tenant_id",
    "url",
    "description",
    "events",
    "is_active",
    "needs_test",
    "health",
    "failing_since",
    "disabled_at",
    "disabled_reason",
    "retry_enabled",
    "max_retries",
    "previous_secret_expires_at",
    "created_at",
    "updated_at",
];

pub(super) fn table(webhooks: &[Webhook]) -> Columns<7> {
    let headings = ["id", "health", "failing since", "off since", "off because", "events", "url"];
    let mut columns = Columns::new(headings);
    for webhook in webhooks {
        columns.add([
            webhook.id.to_string(),
            health(webhook),
            or_unknown(webhook.failing_since.map(Timestamp::whole_seconds)),
            or_unknown(webhook.disabled.map(|disabled| disabled.at.whole_seconds())),
            or_unknown(webhook.disabled.map(|disabled| disabled.reason)),
            webhook.events.names().join(","),
            visible(webhook.url.as_str()),
        ]);
    }
    columns
}

fn health(webhook: &Webhook) -> String {
    let health = webhook.health();
    if webhook.needs_test() { format!("{health}, needs test") } else { health.to_string() }
}

/// The API's webhook object, with the tenant.
pub(super) fn json(webhook: &Webhook, now: Timestamp) -> Value {
    let previous = webhook.previous_secret_at(now);
    json!({
        "webhook_config_id": webhook.id,
        "tenant_id": webhook.tenant_id,
        "url": webhook.url.as_str(),
        "description": webhook.description.as_ref().map(Description::as_str),
        "events": webhook.events,
        "is_active": webhook.is_active(),
        "needs_test": webhook.needs_test(),
        "health": webhook.health(),
        "failing_since": webhook.failing_since,
        "disabled_at": webhook.disabled.map(|disabled| disabled.at),
        "disabled_reason": webhook.disabled.map(|disabled| disabled.reason),
        "retry_enabled": webhook.retry.enabled,
        "max_retries": webhook.retry.max_retries,
        "previous_secret_expires_at": previous.map(|previous| previous.until),
        "created_at": webhook.created_at,
        "updated_at": webhook.updated_at,
    })
}

/// Everything about one webhook, for people.
pub(super) fn full(webhook: &Webhook, now: Timestamp) -> String {
    let mut value = json(webhook, now);
    value["events"] = webhook.events.names().join(", ").into();
    fields(&value, &IN_ORDER).join("\n")
}

#[cfg(test)]
mod tests {
    use webhooks::endpoint::EndpointUrl;
    use webhooks::webhook::{Disabled, DisabledReason, EventSet, PreviousSecret};

    use super::*;

    fn at(second: u64) -> Timestamp {
        Timestamp::from_unix_millis(second * 1000)
    }

    fn webhook() -> Webhook {
        Webhook {
            tenant_id: "770e8400-e29b-41d4-a716-446655440002".parse().unwrap(),
            id: "550e8400-e29b-41d4-a716-446655440000".parse().unwrap(),
            disabled: Some(Disabled { at: at(2), reason: DisabledReason::Gone }),
            failing_since: Some(at(1)),
            updated_at: at(2),
            previous_secret: Some(PreviousSecret { version: "the-old".to_owned(), until: at(9) }),
            url: EndpointUrl::parse("https://example.com/hook").unwrap(),
            ..Webhook::example(at(0))
        }
    }

    #[test]
    fn a_table_has_health_since_when_and_why() {
        let on = Webhook { disabled: None, failing_since: None, ..webhook() };
        let untested = Webhook { needs_test_since: Some(at(0)), ..on.clone() };
        let lines: Vec<String> = table(&[webhook(), on, untested]).lines().collect();
        let [headings, off, on, untested] = &lines[..] else { panic!("{lines:?}") };
        assert!(headings.starts_with("id ") && headings.ends_with(" url"), "{headings}");
        assert!(
            off.contains("disabled        1970-01-01T00:00:01Z  1970-01-01T00:00:02Z  gone "),
            "{off}"
        );
        assert!(
            on.contains("  ok              -                     -                     -  "),
            "{on}"
        );
        assert!(untested.contains("  ok, needs test  -  "), "{untested}");
        for text in
            ["document.processing.completed,document.processing.failed", "https://example.com/hook"]
        {
            assert!(on.contains(text), "{on}");
        }
    }

    #[test]
    fn json_has_the_apis_fields_and_only_a_secret_in_force_has_an_end() {
        let value = json(&webhook(), at(8));
        assert_eq!(value["disabled_reason"], "gone");
        assert_eq!(value["previous_secret_expires_at"], "1970-01-01T00:00:09Z");
        assert_eq!(json(&webhook(), at(9))["previous_secret_expires_at"], Value::Null);
        assert!(!value.to_string().contains("the-"), "{value}");
    }

    #[test]
    fn every_field_has_a_place_in_the_order() {
        let Value::Object(fields) = json(&webhook(), at(0)) else { panic!("not an object") };
        let mut in_order = IN_ORDER.to_vec();
        in_order.sort_unstable();
        assert_eq!(fields.keys().map(String::as_str).collect::<Vec<_>>(), in_order);
        let text = full(&webhook(), at(0));
        assert!(text.starts_with("webhook_config_id ") && text.contains("gone"), "{text}");
        assert!(text.contains("  document.processing.completed, document."), "{text}");
    }

    #[test]
    fn a_description_cannot_control_the_terminal() {
        // Rows are not checked: this one may be from another version.
        let description = serde_json::from_value(json!("Invoices\u{1b}[2J")).unwrap();
        let webhook = Webhook { description, events: EventSet::All, ..webhook() };
        assert_eq!(json(&webhook, at(0))["description"], "Invoices\u{1b}[2J");
        assert_eq!(json(&webhook, at(0))["events"], json!(["*"]));
        let text = full(&webhook, at(0));
        assert!(text.contains("  Invoices␛[2J\n") && text.contains("  *\n"), "{text}");
    }
}
