//! Whose certificates are trusted.

use std::path::PathBuf;

use bench::tls::{Authority, NOW};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use super::{deliver, report, sender_with, visibilities};
use crate::hosted::fake_aws::FakeAws;
use crate::hosted::fixtures::{first_receives, message, rows, webhook};
use crate::hosted::output::assert_contains;
use crate::hosted::receiver::{Receiver, status};
use crate::hosted::runtime_api::Hosted;

/// Where the authority's certificate is written, with the build's other files.
pub(super) fn authority_file(name: &str) -> PathBuf {
    let name = format!("authority-{name}-{}.pem", std::process::id());
    PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name)
}

#[tokio::test]
async fn only_a_valid_certificate_of_a_trusted_authority_for_this_very_host_gets_a_request() {
    let [trusted, stranger] =
        ["trusted", "stranger"].map(|name| Authority::new(name).expect("it can be made"));
    let file = authority_file("trusted");
    trusted.write(&file).expect("it can be written");
    let untrusted =
        "the certificate's issuer is not trusted: self-signed, or an intermediate is missing";
    let cases = [
        ("127.0.0.1", trusted.server("127.0.0.1", NOW), None),
        ("localhost", trusted.server("localhost", NOW), None),
        ("127.0.0.1", stranger.server("127.0.0.1", NOW), Some(untrusted)),
        ("127.0.0.1", trusted.self_signed(), Some(untrusted)),
        (
            "127.0.0.1",
            trusted.server("127.0.0.1", (2020, 2021)),
            Some("the certificate expired on 2021-01-01T00:00:00Z"),
        ),
        (
            "127.0.0.1",
            trusted.server("127.0.0.1", (2090, 2100)),
            Some("the certificate is not valid yet"),
        ),
        (
            "127.0.0.1",
            trusted.server("example.com", NOW),
            Some("the certificate is for other names: example.com"),
        ),
        (
            "localhost",
            trusted.server("127.0.0.1", NOW),
            Some("the certificate is for other names: 127.0.0.1"),
        ),
        (
            "127.0.0.1",
            trusted.server_of((1..=250).map(|n| format!("{n}.example")).collect(), NOW),
            Some("the certificate is for other names: 1.example, 2.example, … and 248 more"),
        ),
    ];
    let closed =
        [("ALLOW_HTTP_ENDPOINTS", "false"), ("EXTRA_CA_FILE", file.to_str().expect("it is ASCII"))];
    let (aws, sender) = sender_with(&[], &closed).await;
    for (at, (host, config, refusal)) in (1..).zip(cases) {
        let config = config.expect("the authority can sign");
        let receiver = Receiver::start_tls(status(200), config).await;
        let hook = webhook(&format!("https://{host}:{}/hook", receiver.address().port()));
        aws.replace_rows(rows([&hook]));
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
async fn an_endpoint_that_speaks_no_tls_is_retried_and_the_log_says_why() {
    // A web server answers in plain HTTP; another program may hang up.
    for (answer, error) in [
        (
            "HTTP/1.1 400 Bad Request\r\n\r\n",
            "TLS failed: the endpoint does not speak TLS on this port",
        ),
        ("", "the connection failed: the endpoint closed it"),
    ] {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port is free");
        let hook = webhook(&format!("https://{}/", listener.local_addr().expect("it is bound")));
        let endpoint = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await?;
            stream.read_buf(&mut Vec::with_capacity(4096)).await?;
            stream.write_all(answer.as_bytes()).await?;
            stream.shutdown().await
        });
        let (aws, sender) = sender_with(std::slice::from_ref(&hook), &[]).await;
        assert_eq!(report(&sender, first_receives(&[message(&hook, 1)])).await, ["m0"]);
        assert_eq!(aws.logged()[0]["attempts"][0]["error"], error);
        endpoint.await.expect("it does not panic").expect("the sender has connected");
    }
}

#[tokio::test]
async fn a_bundle_of_authorities_that_holds_none_keeps_the_function_from_starting() {
    let empty = authority_file("nobody");
    std::fs::write(&empty, "no certificate\n").expect("it can be written");
    for file in [empty.to_str().expect("it is ASCII"), "/nowhere/authorities.pem"] {
        let aws = FakeAws::with_rows([]).await;
        let mut environment = aws.environment();
        environment.push(("ALLOW_HTTP_ENDPOINTS", "false".to_owned()));
        environment.push(("EXTRA_CA_FILE", file.to_owned()));
        let log = Hosted::start("sender", &environment).await.ended().await;
        assert_contains(&log, file);
    }
}
