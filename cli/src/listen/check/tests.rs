use axum::body::Bytes;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method};
use webhooks::signature;

use super::*;

const BODY: &str = r#"{"event":"document.processing.failed","timestamp":"2025-12-03T10:31:00Z","data":{"document_id":"é","job_id":"j","status":"failed","error_message":"a\nb"}}"#;
const ID: &str = "019ae3c3-0440-7f00-8a11-0f1e2d3c4b5a";
const SENT_AT: i64 = 1_764_757_860;

fn secret() -> SigningSecret {
    SigningSecret::parse("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap()
}

fn other_secret() -> SigningSecret {
    SigningSecret::parse("whsec_abcdefghijklmnopqrstuvwxyz1234567890ABCD").unwrap()
}

fn seconds_later(seconds: i64) -> Timestamp {
    let seconds = u64::try_from(SENT_AT + seconds).unwrap();
    Timestamp::from_unix_millis(seconds * 1000)
}

/// A delivery signed with `by`, as the sender makes it.
fn delivery(by: &SigningSecret) -> Received {
    let mut received = Received {
        at: seconds_later(0),
        method: Method::POST,
        target: "/".to_owned(),
        headers: HeaderMap::new(),
        body: Bytes::from_static(BODY.as_bytes()),
    };
    set(&mut received, "x-docintell-signature", &signature::guide(by, BODY.as_bytes()));
    set(&mut received, "x-docintell-timestamp", "1764757800");
    set(&mut received, "x-docintell-delivery", "019ae3c3-0440-7c1e-9d2f-1a2b3c4d5e6f");
    set(&mut received, "webhook-id", ID);
    set(&mut received, "webhook-timestamp", &SENT_AT.to_string());
    set(&mut received, "webhook-signature", &signature::standard(by, ID, SENT_AT, BODY.as_bytes()));
    received
}

fn set(received: &mut Received, name: &'static str, value: &str) {
    let value = HeaderValue::from_str(value).unwrap();
    received.headers.insert(HeaderName::from_static(name), value);
}

fn with(name: &'static str, value: &str) -> Received {
    let mut received = delivery(&secret());
    set(&mut received, name, value);
    received
}

fn with_body(body: impl Into<Vec<u8>>) -> Received {
    Received { body: Bytes::from(body.into()), ..delivery(&secret()) }
}

/// A check five seconds after the attempt.
fn checked(received: &Received) -> Checks {
    check(&secret(), received, seconds_later(5))
}

/// Code and text of the reason.
fn reason(check: &Result<(), Reason>) -> (&'static str, String) {
    match check {
        Ok(()) => ("valid", String::new()),
        Err(reason) => (reason.code(), reason.to_string()),
    }
}

/// Asserts the codes of both signatures, and that each reason has `text`.
fn expect(received: &Received, guide: &str, standard: &str, text: &str) {
    let checks = checked(received);
    for (check, code) in [(&checks.guide, guide), (&checks.standard, standard)] {
        let (found, told) = reason(check);
        assert_eq!(found, code, "{told}");
        assert!(found == "valid" || told.contains(text), "no `{text}` in `{told}`");
    }
}

#[test]
fn a_delivery_is_valid_until_it_is_older_than_five_minutes_and_before_it_is_in_the_future() {
    let received = delivery(&secret());
    for (later, expected) in [
        (0, Ok(())),
        (300, Ok(())),
        (301, Err(Reason::Stale(Duration::from_secs(301)))),
        (-300, Ok(())),
        (-301, Err(Reason::Early(Duration::from_secs(301)))),
    ] {
        let checks = check(&secret(), &received, seconds_later(later));
        assert_eq!((checks.guide, checks.standard), (Ok(()), expected), "{later} s later");
    }
}

#[test]
fn a_body_that_was_parsed_and_written_again_is_recognised() {
    let json = Json::parse(BODY.as_bytes()).unwrap();
    for form in Form::usual().map(|form| json.write(form)).filter(|form| form != BODY) {
        expect(
            &with_body(form),
            "reserialised_json",
            "reserialised_json",
            "written without white space",
        );
    }
    // As Python, Go and PHP write it.
    for form in [
        r#"{"event": "document.processing.failed", "timestamp": "2025-12-03T10:31:00Z", "data": {"document_id": "\u00e9", "job_id": "j", "status": "failed", "error_message": "a\nb"}}"#,
        r#"{"data":{"document_id":"é","error_message":"a\nb","job_id":"j","status":"failed"},"event":"document.processing.failed","timestamp":"2025-12-03T10:31:00Z"}"#,
        "{\n    \"event\": \"document.processing.failed\",\n    \"timestamp\": \"2025-12-03T10:31:00Z\",\n    \"data\": {\n        \"document_id\": \"\\u00e9\",\n        \"job_id\": \"j\",\n        \"status\": \"failed\",\n        \"error_message\": \"a\\nb\"\n    }\n}",
    ] {
        expect(
            &with_body(form),
            "reserialised_json",
            "reserialised_json",
            "Pass on and verify the raw bytes",
        );
    }
}

#[test]
fn a_signature_of_the_json_in_another_form_is_recognised() {
    let spaced = BODY.replace("\":", "\": ").replace(",\"", ", \"");
    let received = with("x-docintell-signature", &signature::guide(&secret(), spaced.as_bytes()));
    expect(&received, "reserialised_json", "valid", "with a space after each comma and colon");

    let python = r#"{"a": 1, "b": "x"}"#;
    let mut received = with_body(r#"{"b":"x","a":1}"#);
    set(&mut received, "x-docintell-signature", &signature::guide(&secret(), python.as_bytes()));
    let (code, told) = reason(&checked(&received).guide);
    assert_eq!(code, "reserialised_json");
    assert!(told.contains("with a space after each comma and colon, keys sorted"), "{told}");
}

#[test]
fn a_change_around_the_body_is_named() {
    let quoted = serde_json::Value::from(BODY).to_string();
    for (body, text) in [
        (format!("{BODY}\n"), "a line break was added at its end"),
        (format!("{BODY}\r\n"), "a line break was added at its end"),
        (format!("  {BODY}\n\n"), "white space was added around it"),
        (format!("\u{feff}{BODY}"), "a byte order mark was added"),
        (STANDARD.encode(BODY), "it was encoded in base64"),
        (quoted, "it was made a string in JSON"),
    ] {
        expect(&with_body(body), "changed_body", "changed_body", text);
    }
    for (signed, arrived, text) in [
        ("{}\n", "{}", "a line break was removed from its end"),
        ("{\n}\n", "{\r\n}\r\n", "its line breaks were changed to CR LF"),
        ("{\r\n}\r\n", "{\n}\n", "its line breaks were changed to LF"),
    ] {
        let mut received = with_body(arrived);
        set(
            &mut received,
            "x-docintell-signature",
            &signature::guide(&secret(), signed.as_bytes()),
        );
        let (code, told) = reason(&checked(&received).guide);
        assert!(code == "changed_body" && told.contains(text), "{told}");
    }
}

#[test]
fn without_a_proof_the_body_decides_which_cause_is_the_likely_one() {
    expect(
        &delivery(&other_secret()),
        "wrong_secret",
        "wrong_secret",
        "A changed value in the body would look the same",
    );
    let changed = BODY.replace("failed", "FAILED");
    expect(&with_body(changed), "wrong_secret", "wrong_secret", "wrong secret, probably");
    for (body, text) in [
        ("", "the body is empty"),
        ("event=document.uploaded", "the body is not JSON"),
        ("{\"event\":\"x\",\"y\": 1}", "first at byte 18"),
    ] {
        expect(&with_body(body), "changed_body", "changed_body", text);
        expect(
            &with_body(body),
            "changed_body",
            "changed_body",
            "or signed it with another secret",
        );
    }
}

#[test]
fn a_missing_header_is_named_with_the_one_that_is_there_instead() {
    for (name, guide, standard) in [
        ("X-DocIntell-Signature", "missing_header", "valid"),
        ("webhook-signature", "valid", "missing_header"),
        ("webhook-id", "valid", "missing_header"),
        ("webhook-timestamp", "valid", "missing_header"),
    ] {
        let mut received = delivery(&secret());
        received.headers.remove(name);
        expect(&received, guide, standard, &format!("there is no header {name}: "));
        set(&mut received, "x-hub-signature-256", "sha256=1");
        expect(&received, guide, standard, "but x-hub-signature-256, which another sender uses");
    }
}

#[test]
fn a_malformed_signature_is_named_with_what_was_expected() {
    let hex = &signature::guide(&secret(), BODY.as_bytes())["sha256=".len()..];
    let base64 = &signature::standard(&secret(), ID, SENT_AT, BODY.as_bytes())["v1,".len()..];
    for (value, problem) in [
        (hex.to_owned(), "lacks `sha256=`"),
        (format!("sha1={hex}"), "does not start with `sha256=`"),
        (String::new(), "does not start with `sha256=`"),
        (format!("sha256={base64}"), "is in base64"),
        (format!("sha256={}", &hex[..60]), "has another length: it may be cut"),
        ("sha256=!".to_owned(), "is not in hex"),
    ] {
        let received = with("x-docintell-signature", &value);
        expect(
            &received,
            "malformed_signature",
            "valid",
            &format!("{problem}; expected `sha256=`"),
        );
    }
    for (value, problem) in [
        (base64.to_owned(), "lacks `v1,`"),
        (format!("v2,{base64}"), "does not start with `v1,`"),
        (format!("v1,{hex}"), "is in hex"),
        (format!("v1,{}", &base64[..40]), "is not in base64 or has another length: it may be cut"),
    ] {
        let received = with("webhook-signature", &value);
        expect(&received, "valid", "malformed_signature", &format!("{problem}; expected `v1,`"));
    }
    expect(
        &with("webhook-timestamp", "now"),
        "valid",
        "malformed_timestamp",
        "expected Unix seconds",
    );
}

#[test]
fn a_signature_in_the_other_schemes_header_is_named() {
    let guide = signature::guide(&secret(), BODY.as_bytes());
    let standard = signature::standard(&secret(), ID, SENT_AT, BODY.as_bytes());
    let text = "has a signature that belongs in";
    expect(&with("x-docintell-signature", &standard), "other_scheme", "valid", text);
    expect(&with("webhook-signature", &guide), "valid", "other_scheme", text);
}

#[test]
fn a_key_that_was_made_in_another_way_is_named() {
    let (text, decoded) =
        (secret().expose().as_bytes().to_vec(), secret().expose_decoded().to_vec());
    let encoded = text["whsec_".len()..].to_vec();
    for (key, made) in [
        (encoded.clone(), "made of the text without `whsec_`"),
        (decoded.clone(), "decoded from base64"),
        ([&text[..], b"\n"].concat(), "made with a line break at its end"),
    ] {
        let tag = hmac_sha256(&key, &[BODY.as_bytes()]);
        let tag = base16ct::lower::encode_string(&tag);
        expect(
            &with("x-docintell-signature", &format!("sha256={tag}")),
            "wrong_key",
            "valid",
            made,
        );
    }
    for (key, made) in [
        (text, "made of the whole text"),
        (encoded, "made of the text without `whsec_`"),
        ([&decoded[..], b"\n"].concat(), "made with a line break at its end"),
    ] {
        let tag = hmac_sha256(&key, &[format!("{ID}.{SENT_AT}.").as_bytes(), BODY.as_bytes()]);
        let value = format!("v1,{}", STANDARD.encode(tag));
        expect(&with("webhook-signature", &value), "valid", "wrong_key", made);
    }
}

#[test]
fn other_content_than_id_time_and_body_is_named_and_so_is_a_changed_header() {
    let (delivery_id, event_time) = ("019ae3c3-0440-7c1e-9d2f-1a2b3c4d5e6f", "1764757800");
    for (head, what) in [
        (String::new(), "only the body was signed"),
        (format!("{SENT_AT}."), "the id was not signed"),
        (format!("{ID}."), "the timestamp was not signed"),
        (format!("{ID}.{event_time}."), "the time in X-DocIntell-Timestamp was signed"),
        (format!("{delivery_id}.{SENT_AT}."), "the id in X-DocIntell-Delivery was signed"),
    ] {
        let tag = hmac_sha256(secret().expose_decoded(), &[head.as_bytes(), BODY.as_bytes()]);
        let value = format!("v1,{}", STANDARD.encode(tag));
        expect(&with("webhook-signature", &value), "valid", "wrong_content", what);
    }
    let other = signature::guide(&other_secret(), BODY.as_bytes());
    let received = with("x-docintell-signature", &other);
    expect(&received, "changed_header", "valid", "X-DocIntell-Signature was changed");
    let later = (SENT_AT + 1).to_string();
    expect(&with("webhook-timestamp", &later), "valid", "changed_header", "webhook-timestamp");
}

#[test]
fn during_an_overlap_a_request_says_which_of_the_two_secrets_signed_it() {
    let standard = |secret| signature::standard(secret, ID, SENT_AT, BODY.as_bytes());
    let (old, new) = (secret(), other_secret());
    let mut first = delivery(&new);
    set(&mut first, "webhook-signature", &format!("{} {}", standard(&new), standard(&old)));
    let second = {
        let mut second = first.clone();
        set(&mut second, "x-docintell-signature", &signature::guide(&old, BODY.as_bytes()));
        second
    };
    let now = seconds_later(5);
    for (received, secret, guide) in [
        (&first, &new, Ok(())),
        (&first, &old, Err(Reason::Rotated)),
        (&second, &old, Ok(())),
        (&second, &new, Err(Reason::PreviousSecret)),
    ] {
        assert_eq!(check(secret, received, now), Checks { guide, standard: Ok(()) });
    }
}
