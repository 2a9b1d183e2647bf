use webhooks::event::Event;
use webhooks::event_type::EventType;
use webhooks::id::{EventId, TenantId};
use webhooks::job::Job;
use webhooks::timestamp::Timestamp;

use super::*;

const KEPT: Form = Form::COMPACT;

fn parse(text: &str) -> Json {
    Json::parse(text.as_bytes()).unwrap()
}

#[test]
fn every_event_is_in_the_published_form_and_is_found_again_from_every_other_form() {
    for event in EventType::ALL {
        let id = || TenantId::random().to_string();
        let job = Job::example(TenantId::random(), id(), id(), Timestamp::now());
        let event = Event::new(EventId::of_record("1", job.updated_at), event, &job).unwrap();
        let body = event.body.get();
        assert_eq!(parse(body).difference(body.as_bytes()), None, "{body}");
        for form in Form::usual() {
            let changed = parse(body).write(form);
            let forms: Vec<String> = Form::usual().map(|it| parse(&changed).write(it)).collect();
            assert!(forms.iter().any(|it| it == body), "{changed}");
            assert_eq!(changed == body, parse(&changed).difference(changed.as_bytes()).is_none());
        }
    }
}

#[test]
fn each_form_is_written_as_programs_write_it() {
    let json = parse(r#"{"status":"é𝄞<","data":[1.50,{}],"a":[]}"#);
    let ascii = r#"{"a": [], "data": [1.50, {}], "status": "\u00e9\ud834\udd1e<"}"#;
    let indented =
        "{\n  \"status\": \"é𝄞<\",\n  \"data\": [\n    1.50,\n    {}\n  ],\n  \"a\": []\n}";
    for (order, layout, escapes, expected) in [
        (Order::Kept, Layout::Compact, Escapes::Few, r#"{"status":"é𝄞<","data":[1.50,{}],"a":[]}"#),
        (
            Order::Published,
            Layout::Compact,
            Escapes::Few,
            r#"{"data":[1.50,{}],"status":"é𝄞<","a":[]}"#,
        ),
        (Order::Sorted, Layout::Spaced, Escapes::Ascii, ascii),
        (Order::Kept, Layout::Indented(2), Escapes::Few, indented),
    ] {
        assert_eq!(json.write(Form { order, layout, escapes }), expected);
    }
}

#[test]
fn digits_and_the_order_of_unknown_keys_are_kept() {
    let text = r#"{"z":1.00,"event":-0,"a":1e3,"timestamp":true,"a":null}"#;
    assert_eq!(parse(text).write(KEPT), text);
    assert_eq!(parse(text).difference(text.as_bytes()), None);
}

#[test]
fn a_text_that_is_not_json_or_too_deep_is_refused() {
    for body in [&b""[..], b"{", b"a=1", b"\xff", b"{} {}", "[".repeat(100_000).as_bytes()] {
        assert_eq!(Json::parse(body), None);
    }
    let nested = |depth| ["[".repeat(depth), "]".repeat(depth)].concat().into_bytes();
    assert!(Json::parse(&nested(MAX_DEPTH)).is_some());
    for depth in [MAX_DEPTH + 1, 100_000] {
        assert_eq!(Json::parse(&nested(depth)), None);
    }
}

#[test]
fn the_first_difference_from_the_published_form_is_found() {
    for (text, difference) in [
        (r#"{"event": 1}"#, Some(9)),
        (r#"{"timestamp":1,"event":2}"#, Some(2)),
        (r#"{"event":"\u00e9"}"#, Some(10)),
        ("{\"event\":1}\n", Some(11)),
        (r#"{"event":1}"#, None),
    ] {
        assert_eq!(parse(text).difference(text.as_bytes()), difference, "{text}");
    }
}
