//! Whose certificates are trusted.

use std::path::PathBuf;

use bench::tls::{Authority, NOW};

use super::{deliver, report, sender_with, visibilities};
use crate::hosted::fake_aws::FakeAws;
use crate::hosted::fixtures::{first_receives, message, rows, webhook};
use crate::hosted::receiver::{Receiver, status};
use crate::hosted::runtime_api::Hosted;

/// Where the authority's certificate is written, with the build's other files.
fn file(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("authority-{name}.pem"))
}

#[tokio::test]
async fn only_a_valid_certificate_of_a_trusted_authority_for_this_very_host_gets_a_request() {
    let [trusted, stranger] =
        ["trusted", "stranger"].map(|name| Authority::new(name).expect("it can be made"));
    let file = file("trusted");
    trusted.write(&file).expect("it can be written");
    let cases = [
        ("127.0.0.1", trusted.server("127.0.0.1", NOW), None),
        ("localhost", trusted.server("localhost", NOW), None),
        ("127.0.0.1", stranger.server("127.0.0.1", NOW), Some("UnknownIssuer")),
        ("127.0.0.1", trusted.server("127.0.0.1", (2020, 2021)), Some("expired")),
        ("127.0.0.1", trusted.server("127.0.0.1", (2090, 2100)), Some("not valid yet")),
        ("127.0.0.1", trusted.server("example.com", NOW), Some("not valid for name")),
        ("localhost", trusted.server("127.0.0.1", NOW), Some("not valid for name")),
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
                let error = attempt["error"].as_str().expect("it failed");
                assert!(error.starts_with("TLS failed: ") && error.contains(reason), "{error}");
                assert_eq!((reported.len(), receiver.arrivals().len()), (1, 0));
            }
        }
    }
    assert_eq!(visibilities(&aws), vec![("handle-0".to_owned(), 1); 5]);
}

#[tokio::test]
async fn an_endpoint_that_speaks_no_tls_is_retried() {
    let receiver = Receiver::start(status(200)).await;
    let hook = webhook(&receiver.url().replace("http://", "https://"));
    let (aws, sender) = sender_with(std::slice::from_ref(&hook), &[]).await;
    assert_eq!(report(&sender, first_receives(&[message(&hook, 1)])).await, ["m0"]);
    assert_eq!(aws.logged()[0]["status"], "pending");
}

#[tokio::test]
async fn a_bundle_of_authorities_that_holds_none_keeps_the_function_from_starting() {
    let empty = file("nobody");
    std::fs::write(&empty, "no certificate\n").expect("it can be written");
    for file in [empty.to_str().expect("it is ASCII"), "/nowhere/authorities.pem"] {
        let aws = FakeAws::with_rows([]).await;
        let mut environment = aws.environment();
        environment.push(("ALLOW_HTTP_ENDPOINTS", "false".to_owned()));
        environment.push(("EXTRA_CA_FILE", file.to_owned()));
        let log = Hosted::start("sender", &environment).await.ended().await;
        assert!(log.contains(file), "{log}");
    }
}
