//! Which TLS certificates the sender trusts.

use harness::fixtures::{first_receives, message, webhook};
use harness::{Authority, FakeAws, Hosted, NOW, Receiver, assert_contains, status};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use super::{deliver, sender_with, visibilities};

#[tokio::test]
async fn only_a_valid_trusted_certificate_for_the_host_gets_a_request() {
    let [trusted, stranger] = ["trusted", "stranger"].map(Authority::new);
    let many: Vec<String> = (1..=250).map(|n| format!("{n}.example")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    let untrusted =
        "the certificate's issuer is not trusted: self-signed, or an intermediate is missing";
    let cases = [
        ("127.0.0.1", trusted.server("127.0.0.1"), None),
        ("localhost", trusted.server("localhost"), None),
        ("127.0.0.1", stranger.server("127.0.0.1"), Some(untrusted)),
        ("127.0.0.1", trusted.self_signed(), Some(untrusted)),
        (
            "127.0.0.1",
            trusted.server_of(&["127.0.0.1"], (2020, 2021)),
            Some("the certificate expired on 2021-01-01T00:00:00Z"),
        ),
        (
            "127.0.0.1",
            trusted.server_of(&["127.0.0.1"], (2090, 2100)),
            Some("the certificate is not valid yet"),
        ),
        (
            "127.0.0.1",
            trusted.server("example.com"),
            Some("the certificate is for other names: example.com"),
        ),
        (
            "localhost",
            trusted.server("127.0.0.1"),
            Some("the certificate is for other names: 127.0.0.1"),
        ),
        (
            "127.0.0.1",
            trusted.server_of(&many, NOW),
            Some("the certificate is for other names: 1.example, 2.example, … and 248 more"),
        ),
    ];
    let file = trusted.file().to_str().expect("it is ASCII");
    let closed = [("ALLOW_HTTP_ENDPOINTS", "false"), ("EXTRA_CA_FILE", file)];
    let (aws, sender) = sender_with(&[], &closed).await;
    for (at, (host, tls, refusal)) in (1..).zip(cases) {
        let receiver = Receiver::start_tls(status(200), tls).await;
        let hook = webhook(&format!("https://{host}:{}/hook", receiver.address().port()));
        aws.replace_webhooks([&hook]);
        let reported = deliver(&sender, &[message(&hook, at)]).await;
        let attempt = &aws.logged()[at - 1]["attempts"][0];
        match refusal {
            None => assert_eq!((reported.len(), receiver.arrivals().len()), (0, 1), "{attempt}"),
            Some(reason) => {
                assert_eq!(attempt["error"], format!("TLS failed: {reason}"));
                assert_eq!((reported.len(), receiver.arrivals().len()), (1, 0));
            }
        }
    }
    assert_eq!(visibilities(&aws), vec![("handle-0".to_owned(), 1); 7]);
}

#[tokio::test]
async fn an_endpoint_without_tls_is_retried_and_the_log_says_why() {
    // A web server answers in plain HTTP; other programs may hang up.
    for (answer, error) in [
        (
            "HTTP/1.1 400 Bad Request\r\n\r\n",
            "TLS failed: the endpoint does not speak TLS on this port",
        ),
        ("", "the connection failed: the endpoint closed it"),
    ] {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port is free");
        let hook =
            webhook(&format!("https://{}/", listener.local_addr().expect("the listener is bound")));
        let endpoint = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await?;
            stream.read_buf(&mut Vec::with_capacity(4096)).await?;
            stream.write_all(answer.as_bytes()).await?;
            stream.shutdown().await
        });
        let (aws, sender) = sender_with([&hook], &[]).await;
        assert_eq!(sender.report(first_receives(&[message(&hook, 1)])).await, ["m0"]);
        assert_eq!(aws.logged()[0]["attempts"][0]["error"], error);
        endpoint.await.expect("the endpoint does not panic").expect("the sender connects");
    }
}

#[tokio::test]
async fn an_empty_or_missing_ca_file_stops_the_start() {
    let empty = Authority::new("nobody");
    std::fs::write(empty.file(), "no certificate\n").expect("the file can be written");
    for file in [empty.file().to_str().expect("it is ASCII"), "/nowhere/authorities.pem"] {
        let aws = FakeAws::with_webhooks([]).await;
        let closed = [("ALLOW_HTTP_ENDPOINTS", "false"), ("EXTRA_CA_FILE", file)];
        let log = Hosted::start("sender", &aws.environment_with(&closed)).await.ended().await;
        assert_contains(&log, file);
    }
}
