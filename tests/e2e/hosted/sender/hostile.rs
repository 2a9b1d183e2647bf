//! Endpoints that try to cost the sender time or memory, or to make it misjudge an attempt.

use std::ops::RangeInclusive;

use harness::fixtures::{DEAD_LETTERS, delivery_id, message, webhook};
use harness::{Act, Authority, Receiver, after, answer, status};
use serde_json::{Value, json};
use tokio::net::TcpListener;

use super::{deliver, ms, one_webhook, sender, sender_with, visibilities};

const TIMEOUT: &str = "no answer within 10 s";
const PROTOCOL: &str = "the answer is not valid HTTP";
const NO_ANSWER: &str = "the endpoint closed the connection without an answer";
const HEAD_TOO_LARGE: &str = "the answer has too many headers, or too large ones";
/// The most KiB by which the sender's memory may grow. The Lambda has 256 MiB.
const MEMORY: u64 = 4 * 1024;
/// The most bytes that a receiver can write while nobody reads: the kernel buffers them.
const UNREAD: u64 = 20 * 1024 * 1024;

/// One way in which an endpoint misbehaves, and the expected result.
struct Case {
    behaviour: &'static str,
    script: Vec<Act>,
    /// `None` if the attempt succeeds.
    error: Option<&'static str>,
    /// The expected duration of the attempt.
    millis: RangeInclusive<u64>,
}

fn case(behaviour: &'static str, script: Vec<Act>, error: impl Into<Option<&'static str>>) -> Case {
    Case { behaviour, script, error: error.into(), millis: 0..=8000 }
}

fn slow(behaviour: &'static str, script: Vec<Act>, error: impl Into<Option<&'static str>>) -> Case {
    // A busy machine may be late.
    Case { millis: 9500..=15_000, ..case(behaviour, script, error) }
}

/// Sends this text.
fn send(text: &str) -> Act {
    Act::Send(text.to_owned().into())
}

/// Sends this text again and again, with a pause in milliseconds.
fn repeat(text: &str, pause: u64) -> Act {
    Act::Repeat(text.to_owned().into(), ms(pause))
}

/// Sends a response head with these headers.
fn head(headers: &str) -> Act {
    send(&format!("HTTP/1.1 200 OK\r\n{headers}\r\n\r\n"))
}

fn slow_cases() -> Vec<Case> {
    let early_hints = "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n".repeat(50);
    vec![
        slow("sends nothing", vec![Act::Wait(ms(30_000))], TIMEOUT),
        slow("drips its head", vec![send("HTTP/1.1 200 OK\r\nX: "), repeat("x", 1000)], TIMEOUT),
        slow("never ends its early hints", vec![repeat(&early_hints, 20)], TIMEOUT),
        Case { millis: 7500..=9999, ..case("is in time", after(ms(7500), status(200)), None) },
        slow("is too late", after(ms(10_500), status(200)), TIMEOUT),
        case("is quick and good", status(200), None),
        case("is quick and bad", status(500), "the endpoint answered 500"),
    ]
}

fn quick_cases() -> Vec<Case> {
    let block = "x".repeat(64 * 1024);
    let chunk = format!("10000\r\n{block}\r\n");
    let headers = "X-Header: value\r\n".repeat(10_000);
    // The start of a gzip stream of zeros. Each further zero byte expands to 1,032 zeros.
    let bomb = b"\x1f\x8b\x08\0\0\0\0\0\x02\xff\xec\xc1\x01\x01\0\0\0\x80\x90\xfe\xaf\xee\x08\x0a";
    let bomb = [&bomb[..], &[0; 12_000]].concat();
    let zip = [("Content-Encoding", "gzip")];
    let early_hints = "HTTP/1.1 103 Early Hints\r\n\r\n".repeat(1000);
    let ok = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
    vec![
        case("sends 200 MB", vec![head("Content-Length: 200000000"), repeat(&block, 0)], None),
        case("never ends", vec![head("Transfer-Encoding: chunked"), repeat(&chunk, 0)], None),
        case(
            "hangs up once the cap is reached",
            vec![head("Content-Length: 20000"), send(&block[..16 * 1024]), Act::HangUp],
            None,
        ),
        case("sends gzip of zeros", answer(200, &zip, &bomb), None),
        case(
            "sends gzip of zeros with a 500",
            answer(500, &zip, &bomb),
            "the endpoint answered 500",
        ),
        case(
            "sends 10,000 headers",
            vec![send(&format!("HTTP/1.1 200 OK\r\n{headers}\r\n")), Act::HangUp],
            HEAD_TOO_LARGE,
        ),
        case(
            "never ends its head",
            vec![send("HTTP/1.1 200 OK\r\nX: "), repeat(&block, 0)],
            HEAD_TOO_LARGE,
        ),
        case("hangs up at once", vec![Act::HangUp], NO_ANSWER),
        case(
            "hangs up in its head",
            vec![send("HTTP/1.1 200 OK\r\nContent-Le"), Act::HangUp],
            NO_ANSWER,
        ),
        case(
            "sends 300 headers",
            vec![head(&format!("{}Content-Length: 0", &headers[..300 * 17]))],
            None,
        ),
        case(
            "sends obsolete header syntax",
            vec![head("X-Folded: one\r\n two\r\nX-Spaced : x\r\nno header\r\nContent-Length: 0")],
            None,
        ),
        // Reading one of these bodies to its end would take ten seconds.
        case("drips its body", vec![head("Content-Length: 50"), repeat("x", 1000)], None),
        case(
            "drips its chunks",
            vec![head("Transfer-Encoding: chunked"), repeat("1\r\nx\r\n", 1000)],
            None,
        ),
        case(
            "hangs up in its body",
            vec![head("Content-Length: 100"), send("half"), Act::HangUp],
            None,
        ),
        case(
            "hangs up in its chunks",
            vec![head("Transfer-Encoding: chunked"), send("4\r\nhalf\r\n"), Act::HangUp],
            None,
        ),
        case(
            "sends two different lengths",
            vec![head("Content-Length: 3\r\nContent-Length: 4"), send("four")],
            PROTOCOL,
        ),
        case(
            "speaks another protocol",
            vec![send("SSH-2.0-OpenSSH_9.9\r\n"), Act::HangUp],
            PROTOCOL,
        ),
        case(
            "switches protocols",
            vec![send("HTTP/1.1 101 Switching\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n")],
            "the endpoint answered 101",
        ),
        case("speaks HTTP/1.0", vec![send("HTTP/1.0 200 OK\r\n\r\nall of it"), Act::HangUp], None),
        case(
            "gives a 204 a body",
            vec![send("HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\nhello")],
            None,
        ),
        case("sends a storm of early hints first", vec![send(&early_hints), send(ok)], None),
    ]
}

fn behaviours(cases: &[Case]) -> Vec<&'static str> {
    cases.iter().map(|case| case.behaviour).collect()
}

/// Delivers to a receiver of each case, ten in a batch, `rounds` times, and checks each outcome and the memory.
async fn assert_outcomes(cases: Vec<Case>, rounds: usize) {
    let mut receivers = Vec::new();
    for case in &cases {
        receivers.push(Receiver::start(case.script.clone()).await);
    }
    let hooks: Vec<Value> = receivers.iter().map(|receiver| webhook(&receiver.url())).collect();
    let good = Receiver::start(status(200)).await;
    let first = webhook(&good.url());
    let (aws, sender) = sender([&first]).await;
    deliver(&sender, &[message(&first, 0)]).await;
    aws.replace_webhooks(&hooks);
    let before = sender.memory_kib("VmRSS");

    for round in 1..=rounds {
        let numbers = round * 100..;
        let messages: Vec<_> =
            hooks.iter().zip(numbers).map(|(hook, number)| message(hook, number)).collect();
        for (cases, messages) in cases.chunks(10).zip(messages.chunks(10)) {
            let failing = cases.iter().filter(|case| case.error.is_some()).count();
            let reported = deliver(&sender, messages).await;
            assert_eq!(
                reported.len(),
                failing,
                "of {:?} it reported {reported:?}",
                behaviours(cases)
            );
        }
        for (case, number) in cases.iter().zip(round * 100..) {
            let logged = aws.logged();
            let row = logged.iter().find(|row| row["delivery_id"] == delivery_id(number));
            let row = row.expect("the delivery is logged");
            let attempt = &row["attempts"][0];
            let millis = attempt["duration_ms"].as_u64().expect("it is a number");
            assert_eq!(attempt["error"].as_str(), case.error, "{}: {attempt}", case.behaviour);
            assert!(case.millis.contains(&millis), "{}: {attempt}", case.behaviour);
            let status = if case.error.is_some() { "pending" } else { "delivered" };
            assert_eq!(row["status"], status, "{}", case.behaviour);
        }
    }
    let peak = sender.memory_kib("VmHWM");
    assert!(peak < before + MEMORY, "from {before} to {peak} KiB");
    assert!(receivers.iter().all(|receiver| receiver.bytes_sent() < UNREAD));
    sender.assert_nobody_else_called();
}

#[tokio::test]
async fn a_slow_endpoint_costs_one_attempt_of_ten_seconds_and_delays_no_other() {
    assert_outcomes(slow_cases(), 1).await;
}

#[tokio::test]
async fn a_hostile_response_costs_at_most_one_attempt_and_little_memory() {
    assert_outcomes(quick_cases(), 2).await;
}

#[tokio::test]
async fn a_compressed_response_is_not_decompressed() {
    let zip = [("Content-Encoding", "gzip")];
    let (_receiver, hook, aws, sender) =
        one_webhook(answer(500, &zip, b"\x1f\x8b\x08\0\0\0\0\0\x02\xff")).await;
    deliver(&sender, &[message(&hook, 1)]).await;
    let kept = aws.logged()[0]["attempts"][0]["response_body"].clone();
    assert_eq!(kept, "␟\u{fffd}␈␀␀␀␀␀␂\u{fffd}");
}

/// A header and the body that follows, complete, broken or endless.
fn bodies() -> Vec<(&'static str, Vec<Act>)> {
    let unending = repeat(&format!("10000\r\n{}\r\n", "x".repeat(64 * 1024)), 0);
    vec![
        ("Content-Length: 4", vec![send("body")]),
        ("Content-Length: 100", vec![send("body"), Act::HangUp]),
        ("Content-Length: 100", vec![send("body"), Act::Vanish]),
        ("Content-Length: 100", vec![send("body"), Act::Wait(ms(30_000))]),
        ("Transfer-Encoding: chunked", vec![send("4\r\nbody\r\n"), Act::Vanish]),
        ("Transfer-Encoding: chunked", vec![send("4\r\nbody\r\nno chunk")]),
        ("Transfer-Encoding: chunked", vec![send("4\r\nbody\r\n"), unending]),
        // Like Python's http.server, which closes TLS without a close alert.
        ("Connection: close", vec![send("body"), Act::Vanish]),
        ("Connection: close", vec![send("body"), repeat(" ", 500)]),
    ]
}

#[tokio::test]
async fn the_status_line_decides_the_outcome_however_the_body_ends() {
    let authority = Authority::new("bodies");
    let trusted = [("EXTRA_CA_FILE", authority.file().to_str().expect("it is ASCII"))];
    let (aws, sender) = sender_with(&[], &trusted).await;
    let mut number = 0;
    for (code, status, reported, dead) in [
        (200, "delivered", false, false),
        (404, "failed", false, true),
        (500, "pending", true, false),
    ] {
        let mut receivers = Vec::new();
        for (header, body) in bodies() {
            let head = send(&format!("HTTP/1.1 {code} Status\r\n{header}\r\n\r\n"));
            let script = [vec![head], body].concat();
            receivers.push(Receiver::start_tls(script, authority.server("127.0.0.1")).await);
        }
        let hooks: Vec<_> = receivers.iter().map(|receiver| webhook(&receiver.url())).collect();
        aws.replace_webhooks(&hooks);
        let parked = aws.queued(DEAD_LETTERS).len();
        let numbers = number + 1..;
        let messages: Vec<_> =
            hooks.iter().zip(numbers).map(|(hook, at)| message(hook, at)).collect();
        let failures = deliver(&sender, &messages).await.len();
        assert_eq!(failures, if reported { hooks.len() } else { 0 }, "{code}");
        let dead_letters = aws.queued(DEAD_LETTERS).len() - parked;
        assert_eq!(dead_letters, if dead { hooks.len() } else { 0 }, "{code}");
        for (header, body) in bodies() {
            number += 1;
            let logged = aws.logged();
            let row = logged.iter().find(|row| row["delivery_id"] == delivery_id(number));
            let row = row.expect("the delivery is logged");
            let attempt = &row["attempts"][0];
            let context = format!("{code}, {header}, {:?}: {attempt}", body.get(1));
            assert_eq!(
                (&row["status"], attempt["status_code"].as_u64()),
                (&json!(status), Some(code)),
                "{context}"
            );
            assert!(attempt["duration_ms"].as_u64().expect("it is a number") < 8000, "{context}");
            if code != 200 {
                let shown = attempt["response_body"].as_str().expect("it is text");
                assert!(shown.starts_with("body"), "{context}");
            }
        }
        assert!(receivers.iter().all(|receiver| receiver.arrivals().len() == 1));
    }
}

#[tokio::test]
async fn an_unanswered_tls_handshake_times_out_after_five_seconds() {
    // The kernel completes TCP connections that nobody accepts.
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port is free");
    let address = listener.local_addr().expect("the listener is bound");
    let hook = webhook(&format!("https://{address}/"));
    let (aws, sender) = sender([&hook]).await;
    assert_eq!(deliver(&sender, &[message(&hook, 1)]).await, ["m0"]);
    assert_eq!(visibilities(&aws), [("handle-0".to_owned(), 1)]);
    assert_eq!(aws.logged()[0]["attempts"][0]["error"], "no connection within 5 s");
}
