//! Every outcome, and what follows from it.

use webhooks::delivery::Phases;
use webhooks::endpoint::EndpointRefusal;

use super::*;
use crate::message::Message;

const GUIDE: RetryPolicy = RetryPolicy { enabled: true, max_retries: 5 };

fn now() -> Timestamp {
    Timestamp::from_unix_millis(1_764_757_800_000)
}

fn delivery() -> DeliveryMessage {
    Message::sample().delivery.unwrap()
}

fn attempt(number: u32, failure: Option<&Failure>) -> Attempt {
    Attempt {
        chain: 1,
        number,
        at: now(),
        duration_ms: 0,
        phases: Phases::default(),
        first_status_code: None,
        status_code: None,
        error: failure.map(ToString::to_string),
        response_body: None,
    }
}

/// No client error is retried.
fn none() -> RetriedClientErrors {
    RetriedClientErrors::default()
}

fn status(code: u16, retry_after: Option<u64>) -> Failure {
    let status = reqwest::StatusCode::from_u16(code).unwrap();
    Failure::Status { status, retry_after: retry_after.map(Duration::from_secs) }
}

/// At this receive, after an attempt at each earlier one.
fn received(receive_count: u32) -> Progress {
    Progress::without_loss(receive_count)
}

fn progress(attempts_before: u32, receive_count: u32, logged: Option<u32>) -> Progress {
    let delivery = DeliveryMessage { attempts_before, ..delivery() };
    Progress::new(&delivery, receive_count, logged)
}

/// The action after a failure that can be retried.
fn failed(attempts_before: u32, receive_count: u32, retry: RetryPolicy) -> String {
    let progress = progress(attempts_before, receive_count, None);
    format!("{:?}", after_failure(Failure::Timeout, progress, retry, &none()))
}

#[test]
fn a_failing_delivery_waits_1_2_4_8_seconds_and_is_then_redriven() {
    assert_eq!(
        [1, 2, 3, 4, 5].map(|receive_count| failed(0, receive_count, GUIDE)),
        ["RetryAfter(1s)", "RetryAfter(2s)", "RetryAfter(4s)", "RetryAfter(8s)", "Redrive"]
    );
}

#[test]
fn success_ends_a_delivery_at_any_attempt() {
    let delivery = delivery();
    for number in 1..=5 {
        let attempt = attempt(number, None);
        let outcome = Outcome::Attempted { attempt, failure: None, retry: GUIDE };
        let Decision { action, log, .. } =
            decide(outcome, &delivery, received(number), &none(), now());
        assert!(matches!(action, Action::Acknowledge), "{action:?}");
        assert_eq!(log.unwrap().status, DeliveryStatus::Delivered);
    }
}

#[test]
fn a_client_error_and_a_forbidden_address_are_dead_letters_at_once() {
    let client_error = status(404, None);
    for failure in [client_error, Failure::Refused(EndpointRefusal::Address)] {
        let action = after_failure(failure, received(1), GUIDE, &none());
        assert!(matches!(action, Action::DeadLetter { attempts: 1, .. }), "{action:?}");
    }
}

#[test]
fn the_sender_dead_letters_a_delivery_whose_attempts_end_before_the_fifth_receive() {
    let off = RetryPolicy { enabled: false, max_retries: 5 };
    let two = RetryPolicy { enabled: true, max_retries: 2 };
    let dead_letter = |attempts| format!("DeadLetter {{ failure: Timeout, attempts: {attempts} }}");
    assert_eq!(failed(0, 1, off), dead_letter(1));
    assert_eq!(
        [failed(0, 1, two), failed(0, 2, two)],
        ["RetryAfter(1s)".to_owned(), dead_letter(2)]
    );
    assert_eq!(failed(3, 2, GUIDE), dead_letter(5));
}

#[test]
fn attempts_beyond_the_fifth_use_a_copy_of_the_message() {
    let ten = RetryPolicy { enabled: true, max_retries: 10 };
    assert_eq!(failed(0, 5, ten), "Requeue { attempts: 5, delay: 16s }");
    assert_eq!(failed(5, 1, ten), "RetryAfter(32s)");
    assert_eq!(failed(5, 4, ten), "RetryAfter(256s)");
    assert_eq!(failed(5, 5, ten), "Redrive");
}

#[test]
fn after_a_lost_receive_a_copy_carries_the_attempts_on_at_once() {
    let action = |receive_count, logged| {
        let progress = progress(0, receive_count, Some(logged));
        format!("{:?}", after_failure(Failure::Timeout, progress, GUIDE, &none()))
    };
    assert_eq!(action(2, 0), "Requeue { attempts: 1, delay: 1s }");
    assert_eq!(action(4, 2), "Requeue { attempts: 3, delay: 4s }");
    assert_eq!(action(5, 0), "Requeue { attempts: 1, delay: 1s }");
    assert_eq!(action(5, 3), "Requeue { attempts: 4, delay: 8s }");
    assert_eq!(action(5, 4), "Redrive", "none was lost");
    let one = RetryPolicy { enabled: false, max_retries: 5 };
    let after_the_only_attempt = |receive_count| {
        let progress = progress(0, receive_count, Some(0));
        after_failure(Failure::Timeout, progress, one, &none())
    };
    let action = after_the_only_attempt(4);
    assert!(matches!(action, Action::DeadLetter { attempts: 1, .. }), "{action:?}");
    assert!(matches!(after_the_only_attempt(5), Action::Redrive));
}

#[test]
fn an_internal_error_after_lost_receives_carries_only_the_attempts_that_were_made() {
    let delivery = delivery();
    let outcome = Outcome::Blocked(BlockReason::TooLittleTime);
    let progress = Progress::new(&delivery, 4, Some(1));
    let Decision { action, .. } = decide(outcome, &delivery, progress, &none(), now());
    assert!(matches!(action, Action::Postpone { attempts: 1, .. }), "{action:?}");
}

#[test]
fn the_log_says_pending_with_the_next_attempt_until_the_last_one_failed() {
    let delivery = delivery();
    for (number, status, next) in [
        (4, DeliveryStatus::Pending, Some(now().plus(Duration::from_secs(8)))),
        (5, DeliveryStatus::Failed, None),
    ] {
        let attempt = attempt(number, Some(&Failure::Timeout));
        let failure = Some(Failure::Timeout);
        let outcome = Outcome::Attempted { attempt, failure, retry: GUIDE };
        let entry = decide(outcome, &delivery, received(number), &none(), now()).log.unwrap();
        assert_eq!((entry.status, entry.next_attempt_at), (status, next));
        assert_eq!(entry.attempt.map(|attempt| attempt.number), Some(number));
    }
}

#[test]
fn an_internal_error_costs_no_attempt_and_is_parked_after_12_hours() {
    let before = |hours: u64| Timestamp::from_unix_millis(now().unix_millis() - hours * 3_600_000);
    for (since, expected) in [(None, now()), (Some(before(11)), before(11))] {
        let delivery = DeliveryMessage { blocked_since: since, ..delivery() };
        let outcome = Outcome::Blocked(BlockReason::TooLittleTime);
        let Decision { action, log, .. } = decide(outcome, &delivery, received(3), &none(), now());
        let Action::Postpone { attempts: 2, blocked_since, .. } = action else {
            panic!("{action:?}")
        };
        assert_eq!(blocked_since, expected);
        let next = log.unwrap().next_attempt_at;
        assert_eq!(next, Some(now().plus(BLOCKED_DELAY)));
    }
    let delivery = DeliveryMessage { blocked_since: Some(before(12)), ..delivery() };
    let outcome = Outcome::Blocked(BlockReason::TooLittleTime);
    let Decision { action, log, .. } = decide(outcome, &delivery, received(3), &none(), now());
    assert!(matches!(action, Action::Park(FaultReason::Blocked(_))), "{action:?}");
    assert_eq!(log.unwrap().status, DeliveryStatus::Failed);
}

#[test]
fn the_longer_of_schedule_and_retry_after_is_the_delay() {
    let action = |asked, number: u32| {
        let action = after_failure(status(503, asked), received(number), GUIDE, &none());
        format!("{action:?}")
    };
    assert_eq!(action(None, 3), "RetryAfter(4s)");
    assert_eq!(action(Some(0), 3), "RetryAfter(4s)");
    assert_eq!(action(Some(4), 3), "RetryAfter(4s)");
    assert_eq!(action(Some(5), 3), "Requeue { attempts: 3, delay: 5s }");
    assert_eq!(action(Some(900), 1), "Requeue { attempts: 1, delay: 900s }");
    assert_eq!(action(Some(900), 5), "Redrive", "no attempt follows");

    let failure = status(503, Some(60));
    let attempt = attempt(1, Some(&failure));
    let outcome = Outcome::Attempted { attempt, failure: Some(failure), retry: GUIDE };
    let delivery = delivery();
    let entry = decide(outcome, &delivery, received(1), &none(), now()).log.unwrap();
    assert_eq!(entry.next_attempt_at, Some(now().plus(Duration::from_mins(1))));
}

#[test]
fn a_client_error_is_retried_only_if_the_stack_says_so() {
    let all: RetriedClientErrors = "408,425,429".parse().unwrap();
    let only_429: RetriedClientErrors = "429".parse().unwrap();
    for (code, retried, expected) in [
        (429, &none(), false),
        (429, &only_429, true),
        (408, &only_429, false),
        (408, &all, true),
        (425, &all, true),
        (410, &all, false),
        (400, &all, false),
    ] {
        let action = after_failure(status(code, None), received(1), GUIDE, retried);
        assert_eq!(matches!(action, Action::RetryAfter(_)), expected, "{code}: {action:?}");
    }
    let action = after_failure(status(429, Some(30)), received(1), GUIDE, &only_429);
    assert_eq!(format!("{action:?}"), "Requeue { attempts: 1, delay: 30s }");
    let action = after_failure(status(429, Some(30)), received(1), GUIDE, &none());
    assert!(matches!(action, Action::DeadLetter { .. }), "{action:?}");
}

#[test]
fn only_a_success_and_the_end_by_the_endpoints_fault_say_something_about_its_health() {
    let delivery = delivery();
    let evidence = |number, failure: Option<Failure>| {
        let attempt = attempt(number, failure.as_ref());
        let outcome = Outcome::Attempted { attempt, failure, retry: GUIDE };
        decide(outcome, &delivery, received(number), &none(), now()).evidence
    };
    let dead_letter = |error: &str| Some(Evidence::DeadLetter { error: error.to_owned() });
    assert_eq!(evidence(1, None), Some(Evidence::Success));
    assert_eq!(evidence(4, Some(Failure::Timeout)), None, "another attempt follows");
    assert_eq!(evidence(5, Some(Failure::Timeout)), dead_letter("no answer within 10 s"));
    assert_eq!(evidence(1, Some(status(404, None))), dead_letter("the endpoint answered 404"));
    assert_eq!(evidence(1, Some(status(410, None))), Some(Evidence::Gone));
    let refused = Failure::Refused(EndpointRefusal::Address);
    assert_eq!(evidence(1, Some(refused)), dead_letter("the endpoint's address is not allowed"));
    assert_eq!(evidence(5, Some(Failure::Panic)), None, "a panic is ours");
    for outcome in
        [Outcome::Cancelled(CancelReason::Deleted), Outcome::Blocked(BlockReason::TooLittleTime)]
    {
        assert_eq!(decide(outcome, &delivery, received(5), &none(), now()).evidence, None);
    }
}
