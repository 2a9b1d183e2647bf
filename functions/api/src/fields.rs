//! From the fields of a body to what a webhook is to be.
//!
//! The rule: each field is judged by itself, so that one answer names all that are wrong.

use serde_json::{Map, Value};

use webhooks::endpoint::{EndpointPolicy, EndpointUrl};
use webhooks::event::EventName;
use webhooks::retry::{MAX_RETRIES_LIMIT, RetryPolicy};
use webhooks::webhook::{EventSet, WebhookChanges};

use crate::endpoint;
use crate::error::{ApiError, Details};

/// What a tenant chooses of a new webhook, with the defaults for what was left open.
#[derive(Debug, PartialEq, Eq)]
pub struct NewWebhook {
    /// The endpoint.
    pub url: EndpointUrl,
    /// The events.
    pub events: EventSet,
    /// Whether it starts switched on.
    pub is_active: bool,
    /// How often a delivery is tried.
    pub retry: RetryPolicy,
}

/// Reads the body of a create.
pub async fn new_webhook(
    object: Map<String, Value>,
    policy: &EndpointPolicy,
) -> Result<NewWebhook, ApiError> {
    let (changes, mut wrong) = read(object, policy);
    check_name(&changes, policy, &mut wrong).await;
    complete(changes, wrong).map_err(ApiError::InvalidFields)
}

/// Reads the body of an update, in which everything may be left out.
pub async fn changes(
    object: Map<String, Value>,
    policy: &EndpointPolicy,
) -> Result<WebhookChanges, ApiError> {
    let (changes, mut wrong) = read(object, policy);
    check_name(&changes, policy, &mut wrong).await;
    if wrong.is_empty() { Ok(changes) } else { Err(ApiError::InvalidFields(wrong)) }
}

/// Whatever can be read, and what is wrong with the rest. A null field counts as left out.
fn read(mut object: Map<String, Value>, policy: &EndpointPolicy) -> (WebhookChanges, Details) {
    let mut wrong = Details::new();
    let changes = WebhookChanges {
        url: take(&mut object, &mut wrong, "url", |value| url(value, policy)),
        events: take(&mut object, &mut wrong, "events", events),
        is_active: take(&mut object, &mut wrong, "is_active", boolean),
        retry_enabled: take(&mut object, &mut wrong, "retry_enabled", boolean),
        max_retries: take(&mut object, &mut wrong, "max_retries", max_retries),
    };
    wrong.extend(object.into_iter().map(|(name, _)| (name, "is not a known field".to_owned())));
    (changes, wrong)
}

fn take<T>(
    object: &mut Map<String, Value>,
    wrong: &mut Details,
    name: &str,
    read: impl FnOnce(&Value) -> Result<T, String>,
) -> Option<T> {
    let value = object.remove(name).filter(|value| !value.is_null())?;
    read(&value).map_err(|reason| wrong.insert(name.to_owned(), reason)).ok()
}

fn url(value: &Value, policy: &EndpointPolicy) -> Result<EndpointUrl, String> {
    let text = value.as_str().ok_or("must be a string")?;
    EndpointUrl::parse(text)
        .and_then(|url| policy.check_url(&url).map(|()| url))
        .map_err(|refusal| refusal.to_string())
}

fn events(value: &Value) -> Result<EventSet, String> {
    let names = value.as_array().ok_or("must be a list of event names")?;
    let events: Option<Vec<_>> =
        names.iter().map(|name| name.as_str().and_then(EventName::from_name)).collect();
    let events = events.ok_or_else(|| {
        format!("may only hold {}", EventName::ALL.map(EventName::as_str).join(", "))
    })?;
    EventSet::try_from(events).map_err(|error| error.to_string())
}

fn boolean(value: &Value) -> Result<bool, String> {
    Ok(value.as_bool().ok_or("must be true or false")?)
}

fn max_retries(value: &Value) -> Result<u8, String> {
    value
        .as_u64()
        .and_then(|number| u8::try_from(number).ok())
        .filter(|number| *number <= MAX_RETRIES_LIMIT)
        .ok_or_else(|| format!("must be a whole number from 0 to {MAX_RETRIES_LIMIT}"))
}

/// Judges the addresses behind the URL's name together with everything else.
async fn check_name(changes: &WebhookChanges, policy: &EndpointPolicy, wrong: &mut Details) {
    let Some(url) = &changes.url else { return };
    if let Err(refusal) = endpoint::check_name(url, policy).await {
        wrong.insert("url".to_owned(), refusal.to_string());
    }
}

/// A whole webhook from the fields that were given.
fn complete(given: WebhookChanges, mut wrong: Details) -> Result<NewWebhook, Details> {
    let Some(url) = given.url else {
        wrong.entry("url".to_owned()).or_insert_with(|| "is required".to_owned());
        return Err(wrong);
    };
    if !wrong.is_empty() {
        return Err(wrong);
    }
    let retry = RetryPolicy::default();
    Ok(NewWebhook {
        url,
        events: given.events.unwrap_or_default(),
        is_active: given.is_active.unwrap_or(true),
        retry: RetryPolicy {
            enabled: given.retry_enabled.unwrap_or(retry.enabled),
            max_retries: given.max_retries.unwrap_or(retry.max_retries),
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const URL: &str = "https://example.com/hook";

    fn update(body: &Value) -> (WebhookChanges, Value) {
        let (changes, wrong) = read(body.as_object().unwrap().clone(), &EndpointPolicy::default());
        (changes, json!(wrong))
    }

    fn create(body: &Value) -> Result<NewWebhook, Value> {
        let (given, wrong) = read(body.as_object().unwrap().clone(), &EndpointPolicy::default());
        complete(given, wrong).map_err(|wrong| json!(wrong))
    }

    #[test]
    fn a_url_is_all_that_a_new_webhook_needs() {
        let created = create(&json!({"url": URL})).unwrap();
        assert_eq!(created.url.as_str(), URL);
        assert_eq!(
            created.events.as_slice(),
            [EventName::ProcessingCompleted, EventName::ProcessingFailed]
        );
        assert!(created.is_active);
        assert_eq!(created.retry, RetryPolicy { enabled: true, max_retries: 5 });
    }

    #[test]
    fn what_is_given_replaces_the_defaults() {
        let created = create(&json!({
            "url": URL, "events": ["document.uploaded"],
            "is_active": false, "retry_enabled": false, "max_retries": 0,
        }))
        .unwrap();
        assert_eq!(created.events.as_slice(), [EventName::DocumentUploaded]);
        assert!(!created.is_active);
        assert_eq!(created.retry, RetryPolicy { enabled: false, max_retries: 0 });
    }

    #[test]
    fn null_means_left_out() {
        let nothing = json!({"url": null, "events": null, "is_active": null,
            "retry_enabled": null, "max_retries": null});
        assert_eq!(update(&nothing), (WebhookChanges::default(), json!({})));
        assert_eq!(create(&nothing), Err(json!({"url": "is required"})));
        assert_eq!(
            create(&json!({"url": URL, "events": null, "max_retries": null})),
            create(&json!({"url": URL}))
        );
    }

    #[test]
    fn an_update_holds_only_what_was_given() {
        let (changes, wrong) = update(&json!({"is_active": false, "max_retries": 10}));
        let expected = WebhookChanges {
            is_active: Some(false),
            max_retries: Some(10),
            ..WebhookChanges::default()
        };
        assert_eq!((changes, wrong), (expected, json!({})));
    }

    #[test]
    fn each_field_has_its_own_reason() {
        let names = "may only hold document.uploaded, document.processing.completed, \
                     document.processing.failed";
        let retries = "must be a whole number from 0 to 10";
        let scheme = "the URL must start with https://";
        for (field, value, reason) in [
            ("url", json!(1), "must be a string"),
            ("url", json!({}), "must be a string"),
            ("url", json!(""), "the URL must have 1 to 2048 characters"),
            (
                "url",
                json!("example.com"),
                "not a URL; expected the form https://example.com/webhooks",
            ),
            ("url", json!("http://example.com"), scheme),
            ("url", json!("javascript:alert(1)"), scheme),
            (
                "url",
                json!("https://u:p@example.com"),
                "the URL must not contain a user name or password",
            ),
            ("url", json!("https://169.254.169.254/"), "the endpoint's address is not allowed"),
            ("url", json!("https://[::1]/"), "the endpoint's address is not allowed"),
            ("events", json!("document.uploaded"), "must be a list of event names"),
            ("events", json!({}), "must be a list of event names"),
            ("events", json!([]), "must name at least one event"),
            ("events", json!([1]), names),
            ("events", json!(["document.uploaded", null]), names),
            ("events", json!(["document.deleted"]), names),
            ("events", json!(["Document.Uploaded"]), names),
            (
                "events",
                json!(["document.uploaded", "document.uploaded"]),
                "names `document.uploaded` more than once",
            ),
            ("is_active", json!("true"), "must be true or false"),
            ("is_active", json!(1), "must be true or false"),
            ("retry_enabled", json!([]), "must be true or false"),
            ("max_retries", json!(-1), retries),
            ("max_retries", json!(11), retries),
            ("max_retries", json!(256), retries),
            ("max_retries", json!(1.5), retries),
            ("max_retries", json!("5"), retries),
            ("max_retries", json!(1e300), retries),
            ("max_retires", json!(5), "is not a known field"),
            ("signing_secret", json!("whsec_x"), "is not a known field"),
            ("", json!(null), "is not a known field"),
        ] {
            let (_, wrong) = update(&json!({field: value}));
            assert_eq!(wrong, json!({field: reason}), "{field}: {value}");
        }
    }

    #[test]
    fn one_answer_names_every_wrong_field() {
        assert_eq!(
            create(&json!({"url": "http://example.com", "events": [], "is_active": 0,
                "retry_enabled": "", "max_retries": 99, "name": "x", "tenant_id": "y"})),
            Err(json!({
                "url": "the URL must start with https://",
                "events": "must name at least one event",
                "is_active": "must be true or false",
                "retry_enabled": "must be true or false",
                "max_retries": "must be a whole number from 0 to 10",
                "name": "is not a known field",
                "tenant_id": "is not a known field",
            }))
        );
        assert_eq!(
            create(&json!({"events": []})),
            Err(json!({"url": "is required", "events": "must name at least one event"}))
        );
    }
}
