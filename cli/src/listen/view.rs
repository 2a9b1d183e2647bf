//! How a request is shown: in full for people, or as one JSON object. Pure.
//!
//! The rule: text from outside cannot control a terminal.

use std::fmt::Write as _;
use std::time::Duration;

use anstyle::Style;
use serde_json::{Map, Value, json};
use webhooks::text::visible;
use webhooks::timestamp::Timestamp;

use super::answer::meaning;
use super::json::{Form, Json};
use super::reason::{Reason, Scheme};
use super::received::Received;
use super::server::Handled;
use crate::style::{BAD, GOOD};
use crate::words::UNKNOWN;

/// Maximum characters of a body to show to people; the largest event has 64 KiB.
const MAX_SHOWN: usize = 100_000;

/// Paragraphs of columns, with an empty line at the end.
pub(crate) fn full(handled: &Handled) -> String {
    let Handled { received, number, checks, .. } = handled;
    let header = |name| received.header(name).unwrap_or_else(|| UNKNOWN.to_owned());
    let is_valid = checks.are_valid();
    let (style, mark) = marked(is_valid);
    let event = received.header("x-docintell-event").unwrap_or_else(|| "not an event".to_owned());
    let verified = if is_valid { "verified" } else { "not verified" };
    let mut lines = vec![format!("{style}{mark} {event}  {verified}{style:#}")];
    let mut field = |name: &str, value: &str| lines.push(format!("  {name:<21}  {value}"));
    field("received", &received.at.to_string());
    field("request", &format!("{} {}", received.method, visible(&received.target)));
    let of_delivery =
        if *number == 1 { String::new() } else { format!("  (request {number} of this delivery)") };
    field("X-DocIntell-Delivery", &format!("{}{of_delivery}", header("x-docintell-delivery")));
    field("webhook-id", &header("webhook-id"));
    for name in ["webhook-timestamp", "X-DocIntell-Timestamp"] {
        let text = header(name);
        field(name, &time(&text).map_or(text.clone(), |time| format!("{text}  {time}")));
    }
    for (scheme, check) in checks.all() {
        let (style, mark) = marked(check.is_ok());
        let text = check.as_ref().map_or_else(Reason::to_string, |()| "valid".to_owned());
        field(scheme.header(), &format!("{style}{mark} {}{style:#}", visible(&text)));
    }
    lines.push(indented(&body(received)));
    lines.push(format!("  {}\n", answered(handled)));
    lines.join("\n")
}

fn marked(is_good: bool) -> (Style, char) {
    if is_good { (GOOD, '✓') } else { (BAD, '✗') }
}

/// Unix seconds as a time.
fn time(text: &str) -> Option<Timestamp> {
    let seconds: u64 = text.parse().ok()?;
    Some(Timestamp::from_unix_millis(seconds.checked_mul(1000)?))
}

/// JSON is indented; other text stays as it is.
fn body(received: &Received) -> String {
    let text = match Json::parse(&received.body) {
        Some(json) => json.write(Form::INDENTED),
        None if received.body.is_empty() => "(no body)".to_owned(),
        None => String::from_utf8_lossy(&received.body).into_owned(),
    };
    match text.char_indices().nth(MAX_SHOWN) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

fn indented(text: &str) -> String {
    let lines: Vec<String> = text.lines().map(|line| format!("  {}", visible(line))).collect();
    lines.join("\n")
}

fn answered(handled: &Handled) -> String {
    let Handled { status, delay, forwarded, .. } = handled;
    let style = marked(status.is_success()).0;
    let mut text = format!("{style}answered {}{style:#}", status.as_u16());
    if *delay >= Duration::from_secs(1) {
        write!(text, " after {:.1} s", delay.as_secs_f64()).expect("a String takes any text");
    }
    let from = match forwarded {
        None => String::new(),
        Some(forwarded) => match &forwarded.error {
            None => format!(", from {}", visible(&forwarded.url)),
            Some(error) => {
                format!(": forwarding to {} failed: {}", visible(&forwarded.url), visible(error))
            }
        },
    };
    let hint = if refused_by_server(handled) { REFUSED } else { "" };
    format!("{text}{from}  ({}){hint}", meaning(*status, *delay))
}

/// What may be wrong with a server that refuses a request with a valid signature.
const REFUSED: &str =
    ": the server refused a valid signature; does it have the same secret as `listen`?";

fn refused_by_server(handled: &Handled) -> bool {
    let answered = handled.forwarded.as_ref().is_some_and(|it| it.error.is_none());
    answered && handled.checks.are_valid() && [401, 403].contains(&handled.status.as_u16())
}

/// One object with everything about the request.
pub(crate) fn json(handled: &Handled) -> Value {
    let Handled { received, number, checks, status, delay, forwarded } = handled;
    let header = |name| received.header(name);
    let seconds = |name| header(name).and_then(|text| time(&text)).map(|time| time.to_string());
    let signatures: Map<String, Value> =
        checks.all().into_iter().map(|(scheme, check)| signature(scheme, check)).collect();
    let headers = received
        .headers
        .iter()
        .map(|(name, value)| (name.to_string(), String::from_utf8_lossy(value.as_bytes()).into()));
    json!({
        "received_at": received.at,
        "method": received.method.as_str(),
        "target": received.target,
        "event": header("x-docintell-event"),
        "event_id": header("webhook-id"),
        "delivery_id": header("x-docintell-delivery"),
        "attempt_at": seconds("webhook-timestamp"),
        "event_at": seconds("x-docintell-timestamp"),
        "request_number": number,
        "verified": checks.are_valid(),
        "signatures": signatures,
        "headers": headers.collect::<Map<String, Value>>(),
        "body": String::from_utf8_lossy(&received.body),
        "status_code": status.as_u16(),
        "response_time_ms": u64::try_from(delay.as_millis()).unwrap_or(u64::MAX),
        "forwarded_to": forwarded.as_ref().map(|it| &it.url),
        "forward_error": forwarded.as_ref().and_then(|it| it.error.as_ref()),
    })
}

fn signature(scheme: Scheme, check: &Result<(), Reason>) -> (String, Value) {
    let value = match check {
        Ok(()) => json!({"valid": true, "reason": null, "message": null}),
        Err(reason) => {
            json!({"valid": false, "reason": reason.code(), "message": reason.to_string()})
        }
    };
    (scheme.header().to_ascii_lowercase(), value)
}

#[cfg(test)]
mod tests {
    use axum::body::Bytes;
    use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};

    use super::*;
    use crate::listen::check::Checks;
    use crate::listen::server::Forwarded;

    fn handled(body: &str) -> Handled {
        let headers = [
            ("x-docintell-event", "document.uploaded"),
            ("x-docintell-delivery", "d-1"),
            ("webhook-id", "e-1"),
            ("webhook-timestamp", "1764757860"),
            ("x-docintell-timestamp", "soon"),
        ];
        let headers: HeaderMap = headers
            .into_iter()
            .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)))
            .collect();
        Handled {
            received: Received {
                at: Timestamp::from_unix_millis(1_764_757_861_000),
                method: Method::POST,
                target: "/hook?a=1".to_owned(),
                headers,
                body: Bytes::from(body.to_owned()),
            },
            number: 1,
            checks: Checks { guide: Ok(()), standard: Ok(()) },
            status: StatusCode::OK,
            delay: Duration::ZERO,
            forwarded: None,
        }
    }

    fn plain(handled: &Handled) -> String {
        anstream::adapter::strip_str(&full(handled)).to_string()
    }

    #[test]
    fn a_verified_request_is_shown_with_its_ids_times_and_body() {
        let expected = "\
✓ document.uploaded  verified
  received               2025-12-03T10:31:01Z
  request                POST /hook?a=1
  X-DocIntell-Delivery   d-1
  webhook-id             e-1
  webhook-timestamp      1764757860  2025-12-03T10:31:00Z
  X-DocIntell-Timestamp  soon
  X-DocIntell-Signature  ✓ valid
  webhook-signature      ✓ valid
  {
    \"event\": \"x\",
    \"data\": []
  }
  answered 200  (delivered)
";
        assert_eq!(plain(&handled(r#"{"event":"x","data":[]}"#)), expected);
    }

    #[test]
    fn a_later_request_that_is_not_verified_says_why_and_what_follows() {
        let mut handled = handled("");
        handled.number = 2;
        handled.checks.standard = Err(Reason::WrongSecret);
        handled.status = StatusCode::BAD_GATEWAY;
        handled.delay = Duration::from_millis(1_540);
        let error = Some("refused".to_owned());
        handled.forwarded = Some(Forwarded { url: "http://a/".to_owned(), error });
        let shown = plain(&handled);
        for text in [
            "✗ document.uploaded  not verified\n",
            "d-1  (request 2 of this delivery)\n",
            "webhook-signature      ✗ wrong secret, probably: ",
            "\n  (no body)\n  answered 502 after 1.5 s: forwarding to http://a/ failed: refused  (retried, ",
        ] {
            assert!(shown.contains(text), "no `{text}` in `{shown}`");
        }
    }

    #[test]
    fn a_server_that_refuses_a_valid_signature_may_have_another_secret() {
        let hint = "does it have the same secret as `listen`?\n";
        for (status, error, checked, hinted) in [
            (401, None, Ok(()), true),
            (403, None, Ok(()), true),
            (400, None, Ok(()), false),
            (401, None, Err(Reason::WrongSecret), false),
            (401, Some("refused".to_owned()), Ok(()), false),
        ] {
            let mut handled = handled("");
            handled.status = StatusCode::from_u16(status).unwrap();
            handled.checks.guide = checked;
            handled.forwarded = Some(Forwarded { url: "http://a/".to_owned(), error });
            assert_eq!(plain(&handled).contains(hint), hinted, "{status}");
        }
        let mut own = handled("");
        own.status = StatusCode::UNAUTHORIZED;
        assert!(!plain(&own).contains(hint));
    }

    #[test]
    fn text_from_outside_cannot_control_the_terminal() {
        for body in ["\u{1b}[2J", "{\"a\":\"\u{9b}2J\"}"] {
            let mut handled = handled(body);
            handled.received.target = "/\u{1b}".to_owned();
            let instead = Some("\u{1b}".to_owned());
            handled.checks.guide = Err(Reason::MissingHeader { header: "X", instead });
            assert!(!plain(&handled).contains(['\u{1b}', '\u{9b}']), "{body:?}");
        }
    }

    #[test]
    fn the_object_has_the_exact_body_and_a_code_for_each_reason() {
        let mut handled = handled("{ \"a\":1.0}");
        handled.checks.guide = Err(Reason::WrongSecret);
        let object = json(&handled);
        for (name, value) in [
            ("event", json!("document.uploaded")),
            ("event_id", json!("e-1")),
            ("delivery_id", json!("d-1")),
            ("attempt_at", json!("2025-12-03T10:31:00Z")),
            ("event_at", Value::Null),
            ("verified", json!(false)),
            ("body", json!("{ \"a\":1.0}")),
            ("status_code", json!(200)),
        ] {
            assert_eq!(object[name], value, "{name}");
        }
        let signatures = &object["signatures"];
        assert_eq!(signatures["x-docintell-signature"]["reason"], "wrong_secret");
        assert_eq!(signatures["webhook-signature"]["valid"], true);
        assert_eq!(object["headers"]["webhook-id"], "e-1");
    }
}
