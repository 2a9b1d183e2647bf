use super::*;

const REPLAY: &str = r#"{"webhook":"770e8400-e29b-41d4-a716-446655440002/550e8400-e29b-41d4-a716-446655440000",
    "replay_id":"019ae3c0-0000-7000-a000-000000000001","state":"running",
    "filter":{"since":"2025-12-03T10:00:00Z","until":"2025-12-03T11:00:00Z","statuses":["failed","skipped"]},
    "rate_per_second":50,"counted":3,"sent":0,"slice":3,"created_at":"2025-12-03T11:00:00Z",
    "updated_at":"2025-12-03T11:00:00Z","progressed_at":"2025-12-03T11:00:00Z","ttl":1}"#;

const DELIVERY: &str = r#"{"webhook":"770e8400-e29b-41d4-a716-446655440002/550e8400-e29b-41d4-a716-446655440000",
    "delivery_id":"019ae3c0-0000-7000-8000-000000000001","event":"document.uploaded",
    "event_id":"019ae3c0-0000-7000-9000-000000000001","status":"failed","chain":1,"attempt_count":5,
    "last_attempt":5}"#;

fn replay() -> Replay {
    serde_json::from_str(REPLAY).unwrap()
}

fn in_state(state: ReplayState) -> Replay {
    Replay { state, ..replay() }
}

fn claimed_at(second: u64) -> Replay {
    let claimed_by = Some(ClaimId::random());
    Replay { claimed_by, claimed_at: Some(after(second)), ..replay() }
}

fn with_status(status: DeliveryStatus) -> DeliverySummary {
    DeliverySummary { status, ..serde_json::from_str(DELIVERY).unwrap() }
}

/// This many seconds after the replay's creation.
fn after(seconds: u64) -> Timestamp {
    replay().created_at.plus(Duration::from_secs(seconds))
}

const MINUTES_15: u64 = 15 * 60;

#[test]
fn a_row_is_read_as_it_was_written() {
    let replay = claimed_at(1);
    let json = serde_json::to_string(&replay).unwrap();
    assert_eq!(serde_json::from_str::<Replay>(&json).unwrap(), replay);
}

#[test]
fn a_running_replay_without_progress_for_15_minutes_has_failed() {
    let (before, at) = (after(MINUTES_15 - 1), after(MINUTES_15));
    assert_eq!(
        (replay().state_at(before), replay().ended_at(before)),
        (ReplayState::Running, None)
    );
    assert_eq!((replay().state_at(at), replay().ended_at(at)), (ReplayState::Failed, Some(at)));
    assert!(replay().is_open(before) && !replay().is_open(at));
    for state in [ReplayState::Paused, ReplayState::Cancelled, ReplayState::Completed] {
        assert_eq!(in_state(state).state_at(at), state);
    }
}

#[test]
fn the_current_slice_is_claimed_once_until_the_claim_is_a_minute_old() {
    assert_eq!(replay().act_on(3, after(0)), Act::Claim);
    let claimed = claimed_at(10);
    for (second, expected) in [(10, Act::Wait), (69, Act::Wait), (70, Act::Claim)] {
        assert_eq!(claimed.act_on(3, after(second)), expected, "{second}");
    }
}

#[test]
fn the_message_of_the_slice_before_replaces_a_lost_one() {
    assert_eq!(replay().act_on(2, after(0)), Act::QueueNext);
    assert_eq!(claimed_at(0).act_on(2, after(0)), Act::Drop, "the message was not lost");
    for other in [0, 1, 4, u32::MAX] {
        assert_eq!(replay().act_on(other, after(0)), Act::Drop, "{other}");
    }
}

#[test]
fn a_replay_that_does_not_run_drops_its_messages() {
    use ReplayState::{Cancelled, Completed, Failed, Paused};
    for state in [Paused, Cancelled, Completed, Failed] {
        assert_eq!(in_state(state).act_on(3, after(0)), Act::Drop, "{state}");
        assert_eq!(in_state(state).act_on(2, after(0)), Act::Drop, "{state}");
    }
    assert_eq!(replay().act_on(3, after(MINUTES_15)), Act::Drop, "it counts as failed");
}

#[test]
fn a_change_keeps_to_the_states_that_allow_it() {
    use Change::{Cancel, Pause, Resume};
    use ReplayState::{Cancelled, Completed, Failed, Paused, Running};
    for (state, [pause, resume, cancel]) in [
        (Running, [Some(Paused), Some(Running), Some(Cancelled)]),
        (Paused, [Some(Paused), Some(Running), Some(Cancelled)]),
        (Cancelled, [None, None, Some(Cancelled)]),
        (Completed, [None, None, None]),
        (Failed, [None, None, None]),
    ] {
        let replay = in_state(state);
        for (change, expected) in [(Pause, pause), (Resume, resume), (Cancel, cancel)] {
            assert_eq!(change.apply(&replay, after(0)), expected, "{change:?} {state}");
        }
    }
    let late = after(MINUTES_15);
    assert_eq!(Resume.apply(&replay(), late), Some(Running), "no other replay was started");
    assert_eq!((Pause.apply(&replay(), late), Cancel.apply(&replay(), late)), (None, None));
}

#[test]
fn a_replay_sends_the_statuses_that_it_selects() {
    use DeliveryStatus::{Cancelled, Delivered, Failed, Pending, Skipped};
    let every = Replay { filter: ReplayFilter { statuses: None, ..replay().filter }, ..replay() };
    for (status, of_two, of_all) in [
        (Failed, Step::Send, Step::Send),
        (Skipped, Step::Send, Step::Send),
        (Cancelled, Step::LeaveOut, Step::Send),
        (Delivered, Step::LeaveOut, Step::Send),
    ] {
        let delivery = with_status(status);
        assert_eq!(replay().step(&delivery, after(0)), of_two, "{status}");
        assert_eq!(every.step(&delivery, after(0)), of_all, "{status}");
    }
    let due =
        |second| DeliverySummary { next_attempt_at: Some(after(second)), ..with_status(Pending) };
    for replay in [replay(), every] {
        assert_eq!(replay.step(&due(0), after(MINUTES_15 - 1)), Step::LeaveOut, "it is under way");
        assert_eq!(replay.step(&due(0), after(MINUTES_15)), Step::Send, "it is lost");
    }
}

#[test]
fn what_the_replay_has_started_is_never_started_again() {
    use DeliveryStatus::{Cancelled, Delivered, Failed, Pending};
    let all = Replay { filter: ReplayFilter { statuses: None, ..replay().filter }, ..replay() };
    let own = |status, last_attempt| DeliverySummary {
        replay_id: Some(replay().replay_id),
        last_attempt,
        ..with_status(status)
    };
    for replay in [replay(), all] {
        assert_eq!(replay.step(&own(Pending, 0), after(0)), Step::QueueAgain);
        assert_eq!(replay.step(&own(Pending, 0), after(2 * MINUTES_15)), Step::QueueAgain);
        for own in [own(Pending, 1), own(Failed, 5), own(Failed, 0), own(Delivered, 1)] {
            assert_eq!(replay.step(&own, after(0)), Step::Count, "{}", own.status);
        }
        let other = DeliverySummary { replay_id: Some(ReplayId::random()), ..own(Cancelled, 1) };
        assert_ne!(replay.step(&other, after(0)), Step::Count);
    }
}

#[test]
fn a_replay_also_reads_what_it_may_have_started() {
    let read = replay().filter.to_read().statuses.unwrap();
    for status in [DeliveryStatus::Failed, DeliveryStatus::Skipped, DeliveryStatus::Pending] {
        assert!(read.contains(&status), "{status}");
    }
    assert!(!read.contains(&DeliveryStatus::Delivered), "the index has all that is read");
    let skipped = Some(vec![DeliveryStatus::Skipped]);
    let filter = ReplayFilter { statuses: skipped, ..replay().filter };
    assert!(filter.to_read().statuses.unwrap().contains(&DeliveryStatus::Failed));
    assert!(!filter.selects(&with_status(DeliveryStatus::Failed), after(0)));
}

#[test]
fn a_message_is_in_its_tenants_group_and_names_the_slice() {
    let outgoing = replay().message().outgoing().unwrap();
    assert_eq!(outgoing.group, Some(replay().webhook.tenant_id));
    let message: ReplayMessage = serde_json::from_str(outgoing.body.as_str()).unwrap();
    assert_eq!((message, message.webhook()), (replay().message(), replay().webhook));
    assert_eq!(message.slice, 3);
}
