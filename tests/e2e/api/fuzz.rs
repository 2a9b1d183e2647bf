//! Random requests never cause a 5xx, an error in another form, or a partial webhook.
//!
//! The requests are the same in every run. A failure names the request's number, which is its seed.

use futures_util::{StreamExt as _, stream};
use reqwest::Method;
use serde_json::{Value, json};

use super::races::secrets_of;
use crate::fairness::random::Random;
use crate::support::tenant::Tenant;

const REQUESTS: u64 = 400;

struct Dice(Random);

impl Dice {
    fn roll(&mut self) -> usize {
        usize::try_from(self.0.number() >> 33).expect("31 bits fit")
    }

    fn pick<T: Clone>(&mut self, choices: &[T]) -> T {
        choices[self.roll() % choices.len()].clone()
    }
}

/// A valid, invalid, nested or huge value.
fn value(dice: &mut Dice) -> Value {
    match dice.roll() % 15 {
        0 => Value::Null,
        1 => json!(dice.roll().is_multiple_of(2)),
        2 => json!(dice.roll() % 13),
        3 => json!(-1.5e300),
        4 => json!(u64::MAX),
        5 => json!("https://hooks.invalid/a"),
        6 => json!("https://127.0.0.1:1/"),
        7 => json!("\u{0}\u{1f}\"\\\u{202e}é𝄞"),
        8 => json!("x".repeat(dice.roll() % 3000)),
        9 => json!(["document.uploaded", "document.processing.failed"]),
        10 => json!(["document.uploaded", null, 7]),
        11 => json!({"S": "whsec_", "$ne": null}),
        12 => json!([[[[[[[[[[[[]]]]]]]]]]]]),
        13 => json!(["*"]),
        _ => json!(vec!["document.uploaded"; dice.roll() % 40]),
    }
}

fn body(dice: &mut Dice) -> String {
    let names = [
        "url",
        "description",
        "events",
        "is_active",
        "retry_enabled",
        "max_retries",
        "overlap_seconds",
        "tenant_id",
        "",
        "\u{0}",
    ];
    let mut fields = serde_json::Map::new();
    for _ in 0..dice.roll() % 7 {
        fields.insert(dice.pick(&names).to_owned(), value(dice));
    }
    if dice.roll().is_multiple_of(3) {
        fields.insert("url".to_owned(), json!("https://hooks.invalid/b"));
    }
    let text = Value::Object(fields).to_string();
    match dice.roll() % 10 {
        0 => text.chars().take(dice.roll() % 40).collect(),
        1 => value(dice).to_string(),
        2 => "[".repeat(5000),
        // Often enough that a valid create comes before the limit of changes.
        3..=6 => {
            json!({"url": "https://hooks.invalid/c", "max_retries": dice.roll() % 12}).to_string()
        }
        _ => text,
    }
}

fn path(dice: &mut Dice, id: &str) -> String {
    let tail = dice.pick(&[
        "",
        "",
        "",
        "/rotate",
        "/previous-secret",
        "/deliveries?status=failed&since=2025-12-03T10:30:00Z",
        "/deliveries?cursor=%ff&until=",
        "/deliveries/%00",
        "/deliveries/019ae3c3-0440-7c1e-9d2f-1a2b3c4d5e6f/retry",
        "/",
        "/x",
        "?page=-1",
        "?per_page=%00",
        "?page=1&page=2",
        "/%2e%2e",
    ]);
    match dice.roll() % 8 {
        0 | 1 => "/v1/webhooks".to_owned(),
        2 => format!("/v1/webhooks{tail}"),
        3..=5 => format!("/v1/webhooks/{id}{tail}"),
        6 => format!(
            "/v1/webhooks/{}{tail}",
            dice.pick(&["x", "%00", "%ff%fe", "é", "..", "%2F", "0"])
        ),
        _ => dice.pick(&["/", "//", "/v1", "/%", "/v1/webhooks%2f", "/favicon.ico"]).to_owned(),
    }
}

#[tokio::test]
async fn no_random_request_causes_a_5xx_or_a_partial_webhook() {
    let tenant = Tenant::new().await;
    let kept = tenant.create(json!({"url": super::URL})).await;
    let methods = [
        Method::GET,
        Method::POST,
        Method::POST,
        Method::PATCH,
        Method::PUT,
        Method::DELETE,
        Method::HEAD,
    ];
    let types = [
        "application/json",
        "application/json",
        "application/json; charset=latin1",
        "text/plain",
        "a/b/c",
    ];
    stream::iter(0..REQUESTS)
        .for_each_concurrent(6, async |seed| {
            let mut dice = Dice(Random(seed));
            let method = dice.pick(&methods);
            let path = path(&mut dice, &kept.id);
            // The last assertions need this webhook.
            let deletes_webhook = method == Method::DELETE && !path.ends_with("/previous-secret");
            let method = if deletes_webhook { Method::GET } else { method };
            let mut request =
                tenant.unsent(method, &path).header("Content-Type", dice.pick(&types));
            if !dice.roll().is_multiple_of(20) {
                request = request.bearer_auth(&tenant.key);
            }
            request = request.body(body(&mut dice));
            if dice.roll().is_multiple_of(3) {
                let key = dice.pick(&["a", "b", "a,a", "", " x", "a b"]);
                request = request.header("Idempotency-Key", key);
            }
            let response = Tenant::send(request).await;
            assert!(
                response.status < 500,
                "request {seed} to {path}: {} {:?}",
                response.status,
                response.body
            );
            if response.status >= 400 && !response.body.is_null() {
                assert!(response.body["error"].is_string(), "request {seed}: {:?}", response.body);
            }
        })
        .await;

    let list = tenant.request(Method::GET, "/v1/webhooks?per_page=100", None).await;
    let webhooks = list.body["webhooks"].as_array().expect("it is a list");
    assert!(webhooks.iter().any(|it| it["webhook_config_id"] == json!(kept.id)));
    assert!(webhooks.len() > 1, "some of the random webhooks were valid");
    assert_eq!(secrets_of(&tenant).await, webhooks.len());
}
