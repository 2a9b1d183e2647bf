//! Which endpoints the sender calls. Above all, a webhook never reaches the Lambda Runtime API.

use harness::fixtures::{DEAD_LETTERS, message, webhook};
use harness::{
    FakeAws, Hosted, Receiver, answer, assert_contains, assert_lacks, end, log_lines, status,
};
use serde_json::{Value, json};

use super::{deliver, sender, sender_with, visibilities};

const REFUSED: &str = "the endpoint's address is not allowed";

/// Delivers to each URL and asserts that its only attempt failed for good with `reason`.
async fn assert_refused(aws: &FakeAws, sender: &Hosted, urls: &[String], reason: &str) {
    let hooks: Vec<_> = urls.iter().map(|url| webhook(url)).collect();
    aws.replace_webhooks(&hooks);
    let messages: Vec<_> = hooks.iter().zip(1..).map(|(hook, at)| message(hook, at)).collect();
    for batch in messages.chunks(10) {
        assert_eq!(deliver(sender, batch).await, [""; 0], "no delivery is retried");
    }
    let parked = aws.queued(DEAD_LETTERS);
    assert_eq!(parked.len(), urls.len());
    for attributes in parked.iter().map(|it| &it.attributes) {
        assert_eq!((attributes["reason"].as_str(), attributes["attempts"].as_str()), (reason, "1"));
        assert!(!attributes.contains_key("status_code"));
    }
    let logged = aws.logged();
    assert_eq!(logged.len(), urls.len());
    assert!(logged.iter().all(|row| row["status"] == "failed" && row["last_error"] == reason));
}

/// Every known spelling of this machine's address, with a port.
fn spellings(port: u16) -> Vec<String> {
    [
        "127.0.0.1",
        "localhost",
        "LOCALHOST",
        "127.1",
        "127.0.0.1.",
        "2130706433",
        "0x7f.1",
        "0x7f000001",
        "0177.0.0.1",
        "127.9.9.9",
        "[::1]",
        "[::ffff:127.0.0.1]",
        "[::ffff:7f00:1]",
        "[::127.0.0.1]",
        "[::ffff:0:127.0.0.1]",
        "[64:ff9b::127.0.0.1]",
        "[64:ff9b:1::127.0.0.1]",
        "[2002:7f00:1::]",
        "0.0.0.0",
        "0",
        "[::]",
    ]
    .map(|host| format!("http://{host}:{port}/2018-06-01/runtime/invocation/next"))
    .into()
}

#[tokio::test]
async fn the_runtime_api_is_refused_in_every_spelling_even_if_its_network_is_allowed() {
    for networks in ["127.0.0.0/8,::1/128", "0.0.0.0/0,::/0"] {
        let (aws, sender) = sender_with(&[], &[("ALLOWED_NETWORKS", networks)]).await;
        let urls = spellings(sender.address().port());
        assert_refused(&aws, &sender, &urls, REFUSED).await;
        // This name resolves only on some machines.
        let dotted = format!("http://localhost.:{}/", sender.address().port());
        let hook = webhook(&dotted);
        aws.replace_webhooks([&hook]);
        deliver(&sender, &[message(&hook, 99)]).await;
        assert_ne!(aws.logged().last().expect("the delivery is logged")["status"], "delivered");
        sender.assert_nobody_else_called();
    }
}

#[tokio::test]
async fn a_redirect_to_the_runtime_api_is_not_followed() {
    for code in [301, 302, 303, 307, 308] {
        let (aws, sender) = sender(&[]).await;
        let location = format!("http://{}/2018-06-01/runtime/invocation/next", sender.address());
        let refresh = format!("0; url={location}");
        let headers = [("Location", location.as_str()), ("Refresh", refresh.as_str())];
        let receiver = Receiver::start(answer(code, &headers, b"")).await;
        let hook = webhook(&receiver.url());
        aws.replace_webhooks([&hook]);
        assert_eq!(deliver(&sender, &[message(&hook, 1)]).await, ["m0"]);
        assert_eq!(visibilities(&aws), [("handle-0".to_owned(), 1)]);
        sender.assert_nobody_else_called();
    }
}

#[tokio::test]
async fn the_aws_endpoint_is_refused_in_every_spelling_even_if_its_network_is_allowed() {
    for networks in ["127.0.0.0/8,::1/128", "0.0.0.0/0,::/0"] {
        let (aws, sender) = sender_with(&[], &[("ALLOWED_NETWORKS", networks)]).await;
        let endpoint = aws.endpoint();
        let (_, port) = endpoint.rsplit_once(':').expect("it has a port");
        let urls = spellings(port.parse().expect("it is a number"));
        assert_refused(&aws, &sender, &urls, REFUSED).await;
        // A post of a webhook would be a call without an operation.
        let posted = aws.calls().into_iter().filter(|call| call.operation.is_empty()).count();
        assert_eq!(posted, 0, "a webhook called AWS");
    }
}

#[tokio::test]
async fn other_addresses_in_the_environment_are_refused_in_every_spelling() {
    for (variable, form) in [
        ("AWS_LAMBDA_METADATA_API", "127.0.0.1:PORT"),
        ("AWS_XRAY_DAEMON_ADDRESS", "127.0.0.1:PORT"),
        ("AWS_XRAY_DAEMON_ADDRESS", "tcp:127.0.0.1:1 udp:daemon.invalid:PORT"),
        ("AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://localhost:PORT/v1/credentials"),
        ("AWS_ENDPOINT_URL_DYNAMODB", "https://dynamodb.invalid:PORT"),
        ("PARAMETERS_SECRETS_EXTENSION_HTTP_PORT", "PORT"),
    ] {
        let internal = Receiver::start(status(200)).await;
        let value = form.replace("PORT", &internal.address().port().to_string());
        let (aws, sender) = sender_with(&[], &[(variable, &value)]).await;
        assert_refused(&aws, &sender, &spellings(internal.address().port()), REFUSED).await;
        assert_eq!(internal.connections(), 0, "{variable}={form}");
    }
}

#[tokio::test]
async fn an_unreadable_address_in_the_environment_is_a_warning_without_its_value() {
    let receiver = Receiver::start(status(200)).await;
    let hook = webhook(&receiver.url());
    let environment = [("AWS_XRAY_DAEMON_ADDRESS", "tcp:user:password@daemon")];
    let (_aws, sender) = sender_with([&hook], &environment).await;
    assert_eq!(deliver(&sender, &[message(&hook, 1)]).await, [""; 0]);
    let log = sender.finish().await;
    let [line] = &log_lines(&log)[..] else { panic!("not one line: {}", end(&log)) };
    assert_eq!(
        (&line["level"], &line["fields"]["variable"]),
        (&json!("WARN"), &json!("AWS_XRAY_DAEMON_ADDRESS"))
    );
    assert_lacks(&log, "password");
}

#[tokio::test]
async fn an_unreadable_runtime_api_address_stops_the_start() {
    for function in ["api", "sender"] {
        let aws = FakeAws::with_webhooks([]).await;
        let unreadable = [("AWS_LAMBDA_RUNTIME_API", "localhost:9001")];
        let environment = aws.environment_with(&unreadable);
        let log = Hosted::start(function, &environment).await.ended().await;
        let sentence =
            "environment variable AWS_LAMBDA_RUNTIME_API is wrong: invalid socket address";
        assert_contains(&log, sentence);
    }
}

#[tokio::test]
async fn a_delivery_to_an_invalid_host_fails_at_its_first_attempt() {
    const REASON: &str = "the URL's host is not a valid host name: each part between dots must have 1 to 63 letters, \
                          digits, hyphens or underscores and must not begin or end with a hyphen; the whole name \
                          has at most 253 characters";
    let label = "a".repeat(64);
    let hosts =
        ["*.example", "a..b", "a(b).example", "a{b}.example", "-a.example", "a-.example", &label];
    let urls = hosts.map(|host| format!("https://{host}/hook"));
    for networks in ["", "0.0.0.0/0,::/0"] {
        let (aws, sender) = sender_with(&[], &[("ALLOWED_NETWORKS", networks)]).await;
        assert_refused(&aws, &sender, &urls, REASON).await;
    }
}

#[tokio::test]
async fn private_addresses_are_refused_unless_their_network_is_allowed() {
    let bystander = Receiver::start(status(200)).await;
    let closed = [("ALLOW_HTTP_ENDPOINTS", "false"), ("ALLOWED_NETWORKS", "")];
    let (aws, sender) = sender_with(&[], &closed).await;
    let mut urls: Vec<String> = spellings(bystander.address().port());
    urls.extend(
        [
            "[64:ff9b::7f00:1]",
            "10.0.0.1",
            "169.254.169.254",
            "169.254.100.1:9001",
            "192.168.1.1",
            "[fd00::1]",
            "[::1]",
        ]
        .map(|host| format!("http://{host}/latest/meta-data")),
    );
    let urls: Vec<_> = urls.iter().map(|url| url.replace("http://", "https://")).collect();
    assert_refused(&aws, &sender, &urls, REFUSED).await;
    assert_eq!(bystander.connections(), 0);
}

#[tokio::test]
async fn plain_http_and_privileged_ports_are_refused_by_default() {
    let closed = [("ALLOW_HTTP_ENDPOINTS", "false"), ("ALLOWED_NETWORKS", "127.0.0.0/8,::1/128")];
    let bystander = Receiver::start(status(200)).await;
    for (url, reason) in [
        (bystander.url(), "the URL must start with https://"),
        (
            "https://127.0.0.1:25/".to_owned(),
            "the URL's port must be 443 or between 1024 and 65535",
        ),
    ] {
        let (aws, sender) = sender_with(&[], &closed).await;
        assert_refused(&aws, &sender, &[url], reason).await;
    }
    assert_eq!(bystander.connections(), 0);
}

#[tokio::test]
async fn a_host_name_inside_an_allowed_network_is_called() {
    let receiver = Receiver::start(status(200)).await;
    let hook = webhook(&format!("http://localhost:{}/", receiver.address().port()));
    let (_aws, sender) = sender([&hook]).await;
    assert_eq!(deliver(&sender, &[message(&hook, 1)]).await, [""; 0]);
    assert_eq!(receiver.arrivals().len(), 1);
}

#[tokio::test]
async fn proxy_variables_in_the_environment_are_ignored() {
    let proxy = Receiver::start(status(502)).await;
    let url = format!("http://{}", proxy.address());
    let environment = [("HTTP_PROXY", url.as_str()), ("http_proxy", &url), ("ALL_PROXY", &url)];
    let receiver = Receiver::start(status(200)).await;
    let hook = webhook(&receiver.url());
    let (_aws, sender) = sender_with([&hook], &environment).await;
    assert_eq!(deliver(&sender, &[message(&hook, 1)]).await, [""; 0]);
    assert_eq!((proxy.connections(), receiver.arrivals().len()), (0, 1));
}

#[tokio::test]
async fn a_url_that_changes_between_attempts_is_checked_again() {
    let receiver = Receiver::start(status(500)).await;
    let mut hook: Value = webhook(&receiver.url());
    let (aws, sender) = sender([&hook]).await;
    assert_eq!(deliver(&sender, &[message(&hook, 1)]).await, ["m0"]);
    hook["url"] = json!(format!("http://{}/", sender.address()));
    aws.replace_webhooks([&hook]);
    assert_eq!(deliver(&sender, &[message(&hook, 1)]).await, [""; 0]);
    assert_eq!(aws.queued(DEAD_LETTERS)[0].attributes["reason"], REFUSED);
    sender.assert_nobody_else_called();
}
