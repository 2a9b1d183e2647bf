//! `docintell webhooks history`: who has changed a webhook, what and when.
//!
//! The rule: JSON has the API's names, and says who made a change without an API key.

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use webhooks::audit::{Actor, Change, Fields};
use webhooks::id::WebhookId;
use webhooks::text::visible;

use crate::columns::Columns;
use crate::output;
use crate::tenant::Tenant;
use crate::words::count;

pub(super) async fn show(tenant: &Tenant, id: WebhookId, limit: usize, json: bool) -> Result<()> {
    let is_deleted = tenant.find_webhook(id).await?.is_none();
    let page = tenant.stack.audit()?.list(tenant.key(id), None, limit).await;
    let page = page.with_context(|| format!("cannot read the history of webhook {id}"))?;
    if is_deleted {
        // A deleted webhook's history stays until it expires.
        ensure!(!page.changes.is_empty(), tenant.has_no(id));
        output::note(format_args!("Webhook {id} is deleted."));
    }
    if json {
        page.changes.iter().map(as_json).try_for_each(|it| output::json(&it))?;
    } else {
        table(&page.changes).print()?;
    }
    let more = if page.next.is_some() { "; there are more: raise --limit" } else { "" };
    output::note(format_args!("{} of webhook {id}{more}.", count(page.changes.len(), "change")));
    Ok(())
}

/// The API's change, with who made it.
fn as_json(change: &Change) -> Value {
    json!({
        "at": change.at,
        "actor": kind(change.actor),
        "key_id": change.actor.key_id(),
        "action": change.action,
        "before": change.before,
        "after": change.after,
    })
}

fn table(changes: &[Change]) -> Columns<4> {
    let mut columns = Columns::new(["at", "action", "by", "changes"]);
    for change in changes {
        let by = match change.actor {
            Actor::Key(id) => format!("key {id}"),
            other => kind(other).to_owned(),
        };
        let at = change.at.whole_seconds().to_string();
        columns.add([at, change.action.to_string(), by, differences(change)]);
    }
    columns
}

fn kind(actor: Actor) -> &'static str {
    match actor {
        Actor::Key(_) => "key",
        Actor::Service => "service",
        Actor::Operator => "operator",
    }
}

/// `max_retries 5 → 9`, or for a creation and a deletion each field with its value.
fn differences(change: &Change) -> String {
    let fields = change.after.as_ref().or(change.before.as_ref());
    let both = change.before.as_ref().zip(change.after.as_ref());
    let text = |(name, value): (&str, &Value)| match both {
        Some((before, after)) => {
            format!("{name} {} → {}", shown(before, name), shown(after, name))
        }
        None => format!("{name} {value}"),
    };
    let texts: Vec<String> = fields.into_iter().flat_map(Fields::iter).map(text).collect();
    visible(&texts.join(", "))
}

fn shown(fields: &Fields, name: &str) -> String {
    fields.get(name).unwrap_or(&Value::Null).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    const WEBHOOK: &str =
        "770e8400-e29b-41d4-a716-446655440002/550e8400-e29b-41d4-a716-446655440000";
    const KEY: &str = "550e8400-e29b-41d4-a716-446655440009";

    fn change(fields: Value) -> Change {
        let Value::Object(fields) = fields else { panic!("fields are an object") };
        let mut change = json!({
            "webhook": WEBHOOK,
            "change_id": "019ae3c3-0440-7c1e-9d2f-1a2b3c4d5e6f",
            "at": "2025-12-03T10:30:00.123Z",
            "action": "update",
        });
        change.as_object_mut().unwrap().extend(fields);
        serde_json::from_value(change).unwrap()
    }

    #[test]
    fn a_change_is_a_line_with_who_made_it_and_what_differs() {
        let old = json!({"max_retries": 5, "url": "https://a/"});
        let new = json!({"max_retries": 9, "url": "https://\u{9b}b/"});
        let changed =
            change(json!({"actor": "key", "key_id": KEY, "before": old, "after": new.clone()}));
        let created = change(json!({"actor": "operator", "after": new}));
        let lines: Vec<String> = table(&[changed, created]).lines().skip(1).collect();
        let expected = [
            format!(
                "2025-12-03T10:30:00Z  update  key {KEY}  max_retries 5 → 9, \
                 url \"https://a/\" → \"https://\u{fffd}b/\""
            ),
            format!(
                "2025-12-03T10:30:00Z  update  {:<40}  max_retries 9, url \"https://\u{fffd}b/\"",
                "operator"
            ),
        ];
        assert_eq!(lines, expected);
    }

    #[test]
    fn json_says_who_made_a_change_without_a_key() {
        let after = json!({"is_active": false});
        let change = change(json!({"actor": "service", "before": {}, "after": after}));
        let expected = json!({
            "at": "2025-12-03T10:30:00.123Z",
            "actor": "service",
            "key_id": null,
            "action": "update",
            "before": {},
            "after": {"is_active": false},
        });
        assert_eq!(as_json(&change), expected);
    }
}
