//! Jobs with missing or malformed attributes: their events and the log lines about them.

use harness::fixtures::{DELIVERIES, FAULTS, TENANT, job_change, job_change_with};
use serde_json::{Value, json};

use super::{dispatch, one_webhook, parse, record_numbers};

/// The fields of every log line with the level WARN or ERROR.
fn warnings(log: &str) -> Vec<Value> {
    log.lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok())
        .filter(|line| line["level"] == "WARN" || line["level"] == "ERROR")
        .map(|line| line["fields"].clone())
        .collect()
}

const JOB: &str = "550e8400-e29b-41d4-a716-446655440000";

#[tokio::test]
async fn a_job_without_a_readable_time_uses_the_records_time_and_is_logged() {
    for (updated_at, reason) in [
        (json!(null), "missing"),
        (json!(1_764_757_800), "not text"),
        (json!("2025-12-03T10:30:00"), "not an RFC 3339 time with an offset"),
    ] {
        let (aws, fanout) = one_webhook().await;
        let records = [job_change_with(0, "queued", json!({"updated_at": updated_at}))];
        assert_eq!(dispatch(&fanout, &records).await, [""; 0]);
        let message = parse(&aws.queued(DELIVERIES)[0]);
        assert_eq!(message.occurred_at.to_string(), "2025-12-03T10:30:47Z");
        assert!(message.body.get().contains(r#""timestamp":"2025-12-03T10:30:47Z""#));
        assert_eq!(aws.queued(FAULTS).len(), 0);
        let lines = warnings(&fanout.finish().await);
        assert_eq!(
            lines,
            [json!({
                "message": "a job's time cannot be read, so its event has the time of the stream record",
                "record.index": 0,
                "job.id": JOB,
                "tenant.id": TENANT,
                "job.attribute": "updated_at",
                "reason": reason,
            })]
        );
    }
}

#[tokio::test]
async fn an_attribute_of_the_wrong_type_is_left_out_and_logged() {
    let (aws, fanout) = one_webhook().await;
    let mistyped = json!({"page_count": "12", "ir_version": 1, "processing_time_seconds": 45.2});
    let absent = json!({"page_count": null});
    let records = [
        job_change_with(0, "completed", mistyped),
        job_change_with(1, "failed", json!({"error_message": 7})),
        job_change_with(2, "completed", absent),
    ];
    assert_eq!(dispatch(&fanout, &records).await, [""; 0]);
    let bodies: Vec<_> = aws.queued(DELIVERIES).iter().map(|it| parse(it).body).collect();
    assert!(bodies[0].get().ends_with(r#""status":"completed","processing_time_seconds":45.2}}"#));
    assert!(bodies[1].get().contains(r#""error_message":"Document processing failed""#));
    assert_eq!((bodies.len(), aws.queued(FAULTS).len()), (3, 0));
    let logged: Vec<_> = warnings(&fanout.finish().await)
        .iter()
        .map(|line| ["job.id", "job.attribute", "reason"].map(|name| line[name].clone()))
        .collect();
    let expected = [
        [JOB, "page_count", "not a number"],
        [JOB, "ir_version", "not text"],
        [JOB, "error_message", "not text"],
    ];
    assert_eq!(logged, expected.map(|line| line.map(Value::from)));
}

#[tokio::test]
async fn an_unknown_status_is_logged_with_its_job_and_fires_no_event() {
    let (aws, fanout) = one_webhook().await;
    let records = ["QUEUED", "queued", "complete", "processing"];
    let records: Vec<_> =
        records.iter().enumerate().map(|(number, status)| job_change(number, status)).collect();
    assert_eq!(dispatch(&fanout, &records).await, [""; 0]);
    assert_eq!(record_numbers(&aws.queued(DELIVERIES)), [1]);
    assert_eq!(aws.queued(FAULTS).len(), 0);
    let logged: Vec<_> = warnings(&fanout.finish().await)
        .iter()
        .map(|line| ["job.id", "tenant.id", "job.status"].map(|name| line[name].clone()))
        .collect();
    let expected = ["QUEUED", "complete"].map(|status| [JOB, TENANT, status].map(Value::from));
    assert_eq!(logged, expected);
}

#[tokio::test]
async fn a_parked_record_is_logged_with_its_job_and_tenant_if_readable() {
    let (_aws, fanout) = one_webhook().await;
    let records = [
        job_change_with(0, "queued", json!({"tenant_id": "acme"})),
        job_change_with(1, "queued", json!({"document_id": null, "job_id": 7, "tenant_id": null})),
        json!({"eventID": "1", "dynamodb": {"SequenceNumber": "10"}}),
    ];
    assert_eq!(dispatch(&fanout, &records).await, [""; 0]);
    let logged: Vec<_> = warnings(&fanout.finish().await)
        .iter()
        .filter(|line| line["message"] == "record parked in PipelineFaultsQueue")
        .map(|line| ["job.id", "tenant.id"].map(|name| line[name].clone()))
        .collect();
    let null = Value::Null;
    let expected = [[json!(JOB), json!("acme")], [json!("7"), null.clone()], [null.clone(), null]];
    assert_eq!(logged, expected);
}
