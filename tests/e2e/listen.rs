//! `docintell listen`: a tenant's developer sees deliveries, and why a signature does not match.

use std::time::Duration;

use harness::{ClosedPort, Receiver, after, answer, eventually, status};
use reqwest::Method;
use serde_json::{Value, json};
use webhooks::delivery::DeliveryStatus;
use webhooks::secret::SigningSecret;

use crate::support::job;
use crate::support::listener::{Developer, Listener};
use crate::support::tenant::{Hook, Tenant};

/// The ids of the tenant's webhooks, sorted.
async fn webhooks(tenant: &Tenant) -> Vec<String> {
    let list = tenant.request(Method::GET, "/v1/webhooks", None).await.body;
    let list = list["webhooks"].as_array().expect("it is a list");
    let id = |webhook: &Value| webhook["webhook_config_id"].as_str().map(str::to_owned);
    let mut ids: Vec<String> = list.iter().filter_map(id).collect();
    ids.sort_unstable();
    ids
}

/// The webhook that a listener has registered. Its secret is not needed.
fn hook(listener: &Listener) -> Hook {
    Hook { id: listener.webhook_id(), secret: String::new() }
}

#[tokio::test]
async fn a_listener_registers_itself_for_all_events_and_removes_itself_at_ctrl_c() {
    let tenant = Tenant::new().await;
    let listener = Developer::of(&tenant).listen(&["--json"]).await;
    let id = listener.webhook_id();
    assert_eq!(webhooks(&tenant).await, [id.as_str()]);
    let registered = tenant.request(Method::GET, &format!("/v1/webhooks/{id}"), None).await.body;
    assert_eq!(registered["events"], json!(["*"]));
    let job_id = job::upload(tenant.id).await;
    listener.requests(1).await;
    job::set_status(tenant.id, &job_id, "completed").await;

    let requests = listener.requests(2).await;
    for (request, event) in
        requests.iter().zip(["document.uploaded", "document.processing.completed"])
    {
        assert_eq!((&request["verified"], &request["event"]), (&json!(true), &json!(event)));
        let body: Value = serde_json::from_str(request["body"].as_str().expect("it is text"))
            .expect("the body is JSON");
        assert_eq!((&body["event"], &body["data"]["job_id"]), (&json!(event), &json!(job_id)));
        assert_eq!(request["headers"]["webhook-id"], request["event_id"]);
        assert_eq!((&request["status_code"], &request["request_number"]), (&json!(200), &json!(1)));
        assert!(request["attempt_at"].is_string() && request["delivery_id"].is_string());
    }
    let (code, noted) = listener.stop().await;
    assert_eq!(code, Some(0), "{noted}");
    assert!(noted.contains(&format!("Webhook {id} is removed.")), "{noted}");
    assert_eq!(webhooks(&tenant).await, [""; 0]);
}

#[tokio::test]
async fn retries_and_replays_reach_a_listener_that_follows_a_schedule_of_failures() {
    let tenant = Tenant::new().await;
    let schedule = ["--json", "--responses", "500,404,200", "--delay", "300ms"];
    let listener = Developer::of(&tenant).listen(&schedule).await;
    job::upload(tenant.id).await;
    let row = tenant.delivery(&hook(&listener), DeliveryStatus::Failed).await;
    let path = format!("/v1/webhooks/{}", listener.webhook_id());
    let retry = format!("{path}/deliveries/{}/retry", row.summary.delivery_id);
    assert_eq!(tenant.request(Method::POST, &retry, None).await.status, 202);
    tenant.delivery(&hook(&listener), DeliveryStatus::Delivered).await;
    let replay = json!({"since": row.summary.created_at().to_string(), "status": "all"});
    let replay = tenant.request(Method::POST, &format!("{path}/replays"), Some(replay)).await;
    assert_eq!(replay.status, 201, "{replay:?}");

    let requests = listener.requests(4).await;
    let seen = |name: &str| requests.iter().map(|it| it[name].clone()).collect::<Vec<Value>>();
    assert_eq!(seen("status_code"), [500, 404, 200, 200]);
    assert_eq!(seen("request_number"), [1, 2, 3, 4]);
    for name in ["delivery_id", "event_id", "body"] {
        assert!(requests.iter().all(|it| it[name] == requests[0][name]), "{name}");
    }
    assert!(requests.iter().all(|it| it["verified"] == true), "{requests:?}");
    assert!(row.attempts.iter().all(|attempt| attempt.duration_ms >= 300), "{row:?}");
}

#[tokio::test]
async fn a_wrong_secret_is_diagnosed_and_no_webhook_is_registered() {
    let tenant = Tenant::new().await;
    let wrong = SigningSecret::generate().expect("there are random bytes");
    let listener = Developer::of(&tenant).listen(&["--secret", wrong.expose()]).await;
    assert_eq!(webhooks(&tenant).await, [""; 0]);
    let hook = tenant.create(json!({"url": listener.url, "events": ["document.uploaded"]})).await;
    job::upload(tenant.id).await;

    let row = tenant.delivery(&hook, DeliveryStatus::Failed).await;
    assert_eq!(row.attempts[0].status_code, Some(401));
    let shown = eventually("the request to be shown", async || {
        Some(listener.printed()).filter(|shown| shown.contains("answered 401"))
    })
    .await;
    for text in [
        "✗ document.uploaded  not verified\n",
        "X-DocIntell-Signature  ✗ wrong secret, probably: ",
        "webhook-signature      ✗ wrong secret, probably: ",
        "\n    \"event\": \"document.uploaded\",\n",
    ] {
        assert!(shown.contains(text), "no `{text}` in `{shown}`");
    }
    assert!(!shown.contains(['\u{1b}']), "colours are for terminals: {shown:?}");
}

#[tokio::test]
async fn after_a_rotation_a_listener_with_the_old_secret_verifies_the_second_request() {
    let tenant = Tenant::new().await;
    let listener = Developer::of(&tenant).listen(&["--json"]).await;
    let rotate = format!("/v1/webhooks/{}/rotate", listener.webhook_id());
    assert_eq!(tenant.request(Method::POST, &rotate, None).await.status, 200);
    job::upload(tenant.id).await;

    let row = tenant.delivery(&hook(&listener), DeliveryStatus::Delivered).await;
    assert_eq!((row.attempts.len(), row.attempts[0].first_status_code), (1, Some(401)));
    let requests = listener.requests(2).await;
    let reason = |request: &Value, header| request["signatures"][header]["reason"].clone();
    assert_eq!(reason(&requests[0], "x-docintell-signature"), "rotated_secret");
    assert_eq!(reason(&requests[0], "webhook-signature"), Value::Null);
    assert_eq!(
        (&requests[0]["status_code"], &requests[1]["status_code"]),
        (&json!(401), &json!(200))
    );
    assert_eq!(requests[1]["verified"], true);
}

#[tokio::test]
async fn what_a_killed_listener_left_behind_is_removed_by_the_next_and_nothing_else() {
    let tenant = Tenant::new().await;
    let developer = Developer::of(&tenant);
    let killed = developer.listen(&[]).await;
    let running = developer.listen(&[]).await;
    let (left, other) = (killed.webhook_id(), running.webhook_id());
    // The tenant's own webhooks, one of them with a URL such as the listener's.
    let url = format!("{}/docintell-listen/{}", killed.url, job::new_id());
    let own =
        [tenant.create(json!({"url": url})).await, tenant.create(json!({"url": killed.url})).await];
    killed.kill().await;
    assert_eq!(webhooks(&tenant).await.len(), 4);

    let next = developer.listen(&[]).await;
    let noted = next.noted();
    assert!(
        noted.contains(&format!("Webhook {left}, which a killed run left behind, is removed.")),
        "{noted}"
    );
    let [first, second] = own.map(|hook| hook.id);
    let last =
        webhooks(&tenant).await.into_iter().find(|id| ![&first, &second, &other].contains(&id));
    let last = last.expect("the next listener has a webhook");
    let mut expected = vec![first, second, other, last.clone()];
    expected.sort_unstable();
    assert_eq!(webhooks(&tenant).await, expected);
    assert_ne!(last, left);
    for listener in [running, next] {
        assert_eq!(listener.stop().await.0, Some(0));
    }
    assert_eq!(webhooks(&tenant).await.len(), 2);
}

#[tokio::test]
async fn a_listener_registers_again_when_the_local_stack_restarts() {
    let (before, after) = (Tenant::new().await, Tenant::new().await);
    let mut developer = Developer::of(&before);
    let listener = developer.listen(&["--json"]).await;
    developer.stop_stack();
    let says = async |text: &str| {
        eventually(text, async || listener.noted().contains(text).then_some(())).await;
    };
    says("The local stack has stopped.").await;
    developer.start_stack(&after);
    says("Another local stack runs now.").await;
    eventually("the new webhook", async || (webhooks(&after).await.len() == 1).then_some(())).await;
    job::upload(after.id).await;
    let request = listener.requests(1).await.remove(0);
    assert_eq!((&request["verified"], &request["status_code"]), (&json!(true), &json!(200)));
    let (code, notes) = listener.stop().await;
    assert_eq!((code, webhooks(&after).await), (Some(0), vec![]), "{notes}");
}

#[tokio::test]
async fn a_listener_whose_output_nobody_reads_removes_its_webhook_too() {
    let tenant = Tenant::new().await;
    let listener = Developer::of(&tenant).listen(&["--json"]).await;
    let code = listener.close(async || drop(job::upload(tenant.id).await)).await;
    assert_eq!((code, webhooks(&tenant).await), (Some(141), vec![]));
}

#[tokio::test]
async fn a_forwarded_request_keeps_its_headers_and_bytes_and_gets_the_servers_answer() {
    let tenant = Tenant::new().await;
    let server = Receiver::start(answer(422, &[("X-Server", "mine")], b"no such document")).await;
    let target = format!("{}?a=1", server.url());
    let listener = Developer::of(&tenant).listen(&["--json", "--forward", &target]).await;
    job::upload(tenant.id).await;

    let row = tenant.delivery(&hook(&listener), DeliveryStatus::Failed).await;
    assert_eq!(row.attempts[0].status_code, Some(422));
    assert_eq!(row.attempts[0].response_body.as_deref(), Some("no such document"));
    let request = listener.requests(1).await.remove(0);
    assert_eq!(
        (&request["verified"], &request["status_code"], &request["forwarded_to"]),
        (&json!(true), &json!(422), &json!(target))
    );
    let arrival = server.arrivals().remove(0);
    assert_eq!(arrival.text(), request["body"]);
    assert!(arrival.target().ends_with("?a=1"), "{}", arrival.target());
    let received = request["headers"].as_object().expect("it is an object");
    assert_eq!(arrival.headers().count(), received.len());
    for (name, value) in received {
        assert!(
            name == "host" || arrival.header(name) == value,
            "{name}: {}",
            arrival.header(name)
        );
    }
}

#[tokio::test]
async fn a_server_to_forward_to_that_is_not_there_is_a_502_that_says_so() {
    let tenant = Tenant::new().await;
    let closed = ClosedPort::new();
    let listener = Developer::of(&tenant).listen(&["--json", "--forward", &closed.url()]).await;
    job::upload(tenant.id).await;
    let request = listener.requests(1).await.remove(0);
    assert_eq!(request["status_code"], 502);
    let error = request["forward_error"].as_str().expect("it is text");
    assert!(error.starts_with("no response: "), "{error}");
}

#[tokio::test]
async fn a_request_whose_sender_gives_up_before_the_forwarded_one_is_answered_is_shown() {
    let tenant = Tenant::new().await;
    let slow = Receiver::start(after(Duration::from_secs(11), status(200))).await;
    let listener = Developer::of(&tenant).listen(&["--json", "--forward", &slow.url()]).await;
    job::upload(tenant.id).await;
    let request = listener.requests(1).await.remove(0);
    assert_eq!((&request["status_code"], &request["request_number"]), (&json!(200), &json!(1)));
    assert!(request["response_time_ms"].as_u64().expect("a number") >= 11_000);
    let row = tenant.delivery(&hook(&listener), DeliveryStatus::Pending).await;
    assert_eq!(row.attempts[0].status_code, None);
}
