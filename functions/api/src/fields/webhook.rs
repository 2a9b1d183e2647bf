//! Reads the body that creates or updates a webhook.

use serde_json::value::RawValue;

use webhooks::endpoint::{EndpointPolicy, EndpointUrl};
use webhooks::event_type::EventType;
use webhooks::retry::{MAX_RETRIES_LIMIT, RetryPolicy};
use webhooks::webhook::{
    Description, DescriptionChange, EventSet, InvalidEventSet, WebhookChanges,
};

use super::{boolean, refuse_others, take, value, whole_number};
use crate::endpoint;
use crate::error::{ApiError, Details, quoted};
use crate::extract::JsonObject;

/// The fields of a create, with defaults for those left out.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct NewWebhook {
    pub url: EndpointUrl,
    pub description: Option<Description>,
    pub events: EventSet,
    pub is_active: bool,
    pub retry: RetryPolicy,
}

/// Reads the body of `POST /v1/webhooks`.
pub(crate) async fn new_webhook(
    object: JsonObject,
    policy: &EndpointPolicy,
) -> Result<NewWebhook, ApiError> {
    let (changes, mut wrong) = read(object, policy);
    check_name(&changes, policy, &mut wrong).await;
    complete(changes, wrong).map_err(ApiError::InvalidFields)
}

/// Reads the body of a PATCH, in which every field is optional.
pub(crate) async fn changes(
    object: JsonObject,
    policy: &EndpointPolicy,
) -> Result<WebhookChanges, ApiError> {
    let (changes, mut wrong) = read(object, policy);
    check_name(&changes, policy, &mut wrong).await;
    if wrong.is_empty() { Ok(changes) } else { Err(ApiError::InvalidFields(wrong)) }
}

/// Returns the valid fields, and reasons for the others. A null field counts as left out.
fn read(JsonObject(mut fields): JsonObject, policy: &EndpointPolicy) -> (WebhookChanges, Details) {
    let mut wrong = Details::new();
    let changes = WebhookChanges {
        url: take(&mut fields, &mut wrong, "url", |json| url(json, policy)),
        description: take(&mut fields, &mut wrong, "description", description),
        requires_test: false,
        events: take(&mut fields, &mut wrong, "events", events),
        is_active: take(&mut fields, &mut wrong, "is_active", boolean),
        retry_enabled: take(&mut fields, &mut wrong, "retry_enabled", boolean),
        max_retries: take(&mut fields, &mut wrong, "max_retries", max_retries),
    };
    refuse_others(fields, &mut wrong);
    (changes, wrong)
}

fn url(json: &RawValue, policy: &EndpointPolicy) -> Result<EndpointUrl, String> {
    let text: String = value(json).ok_or("must be a string")?;
    EndpointUrl::parse(&text)
        .and_then(|url| policy.check_url(&url).map(|()| url))
        .map_err(|refusal| refusal.to_string())
}

fn description(json: &RawValue) -> Result<DescriptionChange, String> {
    let text: String = value(json).ok_or("must be a string")?;
    DescriptionChange::parse(&text).map_err(|error| error.to_string())
}

fn events(json: &RawValue) -> Result<EventSet, String> {
    let rule = || {
        let known = EventType::ALL.map(EventType::as_str).join(", ");
        format!("must be a list with `*` alone or any of {known}")
    };
    let names: Vec<String> = value(json).ok_or_else(rule)?;
    EventSet::from_names(&names).map_err(|error| match error {
        InvalidEventSet::Unknown(name) => format!("{}, not `{}`", rule(), quoted(&name)),
        other => other.to_string(),
    })
}

fn max_retries(json: &RawValue) -> Result<u8, String> {
    whole_number(json)
        .and_then(|number| number.try_into().ok())
        .filter(|number| *number <= MAX_RETRIES_LIMIT)
        .ok_or_else(|| format!("must be a whole number from 0 to {MAX_RETRIES_LIMIT}"))
}

/// Resolves the URL's host name and adds a refusal, if any, to `wrong`.
async fn check_name(changes: &WebhookChanges, policy: &EndpointPolicy, wrong: &mut Details) {
    let Some(url) = &changes.url else { return };
    if let Err(refusal) = endpoint::check_name(url, policy).await {
        wrong.insert("url".to_owned(), refusal.to_string());
    }
}

/// Adds the defaults.
fn complete(fields: WebhookChanges, mut wrong: Details) -> Result<NewWebhook, Details> {
    let Some(url) = fields.url else {
        wrong.entry("url".to_owned()).or_insert_with(|| "is required".to_owned());
        return Err(wrong);
    };
    if !wrong.is_empty() {
        return Err(wrong);
    }
    let retry = RetryPolicy::default();
    Ok(NewWebhook {
        url,
        description: fields.description.and_then(DescriptionChange::into_value),
        events: fields.events.unwrap_or_default(),
        is_active: fields.is_active.unwrap_or(true),
        retry: RetryPolicy {
            enabled: fields.retry_enabled.unwrap_or(retry.enabled),
            max_retries: fields.max_retries.unwrap_or(retry.max_retries),
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    const URL: &str = "https://example.com/hook";

    fn read_text(body: &str) -> (WebhookChanges, Details) {
        read(serde_json::from_str(body).unwrap(), &EndpointPolicy::default())
    }

    fn update(body: &Value) -> (WebhookChanges, Value) {
        let (changes, wrong) = read_text(&body.to_string());
        (changes, json!(wrong))
    }

    fn create(body: &Value) -> Result<NewWebhook, Value> {
        let (fields, wrong) = read_text(&body.to_string());
        complete(fields, wrong).map_err(|wrong| json!(wrong))
    }

    #[test]
    fn a_create_needs_only_a_url() {
        let created = create(&json!({"url": URL})).unwrap();
        assert_eq!(created.url.as_str(), URL);
        assert_eq!(
            created.events.names(),
            ["document.processing.completed", "document.processing.failed"]
        );
        assert_eq!(created.description, None);
        assert!(created.is_active);
        assert_eq!(created.retry, RetryPolicy { enabled: true, max_retries: 5 });
    }

    #[test]
    fn fields_in_the_body_replace_the_defaults() {
        let created = create(&json!({
            "url": URL, "description": "Invoices", "events": ["document.uploaded"],
            "is_active": false, "retry_enabled": false, "max_retries": 0,
        }))
        .unwrap();
        assert_eq!(created.description.unwrap().as_str(), "Invoices");
        assert_eq!(created.events.names(), ["document.uploaded"]);
        assert!(!created.is_active);
        assert_eq!(created.retry, RetryPolicy { enabled: false, max_retries: 0 });
    }

    #[test]
    fn null_means_left_out() {
        let nothing = json!({"url": null, "description": null, "events": null, "is_active": null,
            "retry_enabled": null, "max_retries": null});
        assert_eq!(update(&nothing), (WebhookChanges::default(), json!({})));
        assert_eq!(create(&nothing), Err(json!({"url": "is required"})));
        assert_eq!(
            create(&json!({"url": URL, "events": null, "max_retries": null})),
            create(&json!({"url": URL}))
        );
    }

    #[test]
    fn an_empty_description_is_none() {
        let (changes, wrong) = update(&json!({"description": ""}));
        assert_eq!((changes.description, wrong), (Some(DescriptionChange::Clear), json!({})));
        assert_eq!(create(&json!({"url": URL, "description": ""})), create(&json!({"url": URL})));
    }

    #[test]
    fn all_events_are_one_name() {
        assert_eq!(update(&json!({"events": ["*"]})).0.events, Some(EventSet::All));
    }

    #[test]
    fn an_update_has_only_the_fields_in_the_body() {
        let (changes, wrong) = update(&json!({"is_active": false, "max_retries": 10}));
        let expected = WebhookChanges {
            is_active: Some(false),
            max_retries: Some(10),
            ..WebhookChanges::default()
        };
        assert_eq!((changes, wrong), (expected, json!({})));
    }

    #[test]
    fn each_invalid_field_gets_its_reason() {
        let names = "must be a list with `*` alone or any of document.uploaded, \
                     document.processing.completed, document.processing.failed";
        let alone = "`*` means every event, so it must be the only entry";
        let control = "must not contain control characters, such as line breaks and tabs";
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
            ("description", json!(7), "must be a string"),
            ("description", json!(["x"]), "must be a string"),
            ("description", json!("é".repeat(257)), "must have at most 256 characters"),
            ("description", json!("two\nlines"), control),
            ("description", json!("\u{1b}[2J"), control),
            ("events", json!("document.uploaded"), names),
            ("events", json!("*"), names),
            ("events", json!({}), names),
            ("events", json!(["*", "document.uploaded"]), alone),
            ("events", json!(["document.uploaded", "*"]), alone),
            ("events", json!(["*", "*"]), alone),
            ("events", json!(["**"]), &format!("{names}, not `**`")),
            ("events", json!([]), "must name at least one event"),
            ("events", json!([1]), names),
            ("events", json!(["document.uploaded", null]), names),
            ("events", json!(["document.deleted"]), &format!("{names}, not `document.deleted`")),
            ("events", json!(["Document.Uploaded"]), &format!("{names}, not `Document.Uploaded`")),
            ("events", json!(["\u{1b}[2J\n"]), &format!("{names}, not `␛[2J␊`")),
            (
                "events",
                json!(["document.uploaded", "é".repeat(65)]),
                &format!("{names}, not `{}`", "é".repeat(64)),
            ),
            (
                "events",
                json!(["document.uploaded", "document.uploaded"]),
                "lists `document.uploaded` more than once",
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
            ("max_retries", json!(-0.5), retries),
            ("max_retires", json!(5), "is not a known field"),
            ("signing_secret", json!("whsec_x"), "is not a known field"),
            ("", json!(null), "is not a known field"),
        ] {
            let (_, wrong) = update(&json!({field: value}));
            assert_eq!(wrong, json!({field: reason}), "{field}: {value}");
        }
    }

    #[test]
    fn a_whole_number_may_be_written_with_a_fraction_or_an_exponent() {
        let read = |digits: &str| read_text(&format!(r#"{{"max_retries": {digits}}}"#));
        for digits in ["1e999", "18446744073709551616", "5.000001", "-1.0", "1.8446744073709552e19"]
        {
            assert_eq!(
                read(digits).1["max_retries"],
                "must be a whole number from 0 to 10",
                "{digits}"
            );
        }
        for (digits, number) in
            [("5", 5), ("5.0", 5), ("1e0", 1), ("-0", 0), ("-0.0", 0), ("10.0e0", 10)]
        {
            assert_eq!(read(digits).0.max_retries, Some(number), "{digits}");
        }
    }

    #[test]
    fn serde_jsons_private_keys_have_no_special_meaning() {
        for name in ["RawValue", "Number"].map(|kind| format!("$serde_json::private::{kind}")) {
            let text = json!({"url": URL}).to_string();
            assert_eq!(
                create(&json!({&name: text})),
                Err(json!({&name: "is not a known field", "url": "is required"}))
            );
            let (changes, wrong) = update(&json!({
                "url": {&name: format!("{URL:?}")},
                "description": {&name: r#""x""#},
                "events": {&name: r#"["document.uploaded"]"#},
                "is_active": {&name: "true"},
                "retry_enabled": [{&name: "true"}],
                "max_retries": {&name: "5"},
            }));
            assert_eq!(changes, WebhookChanges::default());
            assert_eq!(wrong.as_object().unwrap().len(), 6, "{wrong}");
        }
    }

    #[test]
    fn a_repeated_field_is_refused_in_every_spelling() {
        for body in [
            r#"{"url": "https://example.com/a", "url": "https://example.com/b"}"#,
            r#"{"url": "https://example.com/a", "\u0075rl": "https://example.com/a"}"#,
            r#"{"url": null, "is_active": true, "url": null}"#,
            r#"{"url": "https://example.com/a", "url": {}, "url": 1}"#,
        ] {
            let (changes, wrong) = read_text(body);
            assert_eq!(changes.url, None, "{body}");
            assert_eq!(json!(wrong), json!({"url": "is given more than once"}), "{body}");
        }
        let (_, wrong) = read_text(r#"{"name": 1, "name": 1}"#);
        assert_eq!(json!(wrong), json!({"name": "is not a known field"}));
    }

    #[test]
    fn the_name_of_an_unknown_field_is_cut_and_made_printable() {
        let (_, wrong) = update(&json!({"x".repeat(3000): 1, "\u{202e}\u{1b}[2J\n": 1, "é𝄞": 1}));
        let unknown = "is not a known field";
        assert_eq!(
            wrong,
            json!({"x".repeat(64): unknown, "\u{fffd}␛[2J␊": unknown, "é𝄞": unknown})
        );
    }

    #[test]
    fn a_lone_surrogate_is_not_a_string() {
        let (_, wrong) = read_text(r#"{"url": "https://example.com/\ud800"}"#);
        assert_eq!(wrong["url"], "must be a string");
    }

    #[test]
    fn one_response_names_every_invalid_field() {
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
