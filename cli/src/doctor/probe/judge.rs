//! What the answers of the API and the arrivals at the receiver mean. Pure.

use serde_json::Value;

use super::super::advice::Section;
use super::super::finding::Problem;
use super::api::Answer;
use crate::listen::Checks;

type Answered = Result<Answer, String>;

/// The API must refuse a request without a key.
pub(super) fn without_a_key(answer: &Answered, url: &str) -> Vec<Problem> {
    match answer {
        Ok(answer) if answer.status == 401 => Vec::new(),
        Ok(answer) if answer.status >= 500 => failed(answer, "401 without a key"),
        Ok(answer) => vec![Problem::fault(
            format!("{url} answers {} without a key, expected 401.", answer.described()),
            format!("Its route must lead to ApiFunction: {}.", Section::RestoreByHand.named()),
        )],
        Err(reason) => vec![Problem::fault(
            format!("{url} does not answer: {reason}."),
            format!("Check the network; then {}.", Section::ApiFails.named()),
        )],
    }
}

/// The API must answer with this status and `content`.
pub(super) fn expecting(status: u16, answer: &Answered, content: &str) -> Vec<Problem> {
    match answer {
        Ok(answer) if answer.status == status => Vec::new(),
        Ok(answer) => failed(answer, &format!("{status} and {content}")),
        Err(reason) => vec![Problem::fault(
            format!("The API does not answer: {reason}."),
            Section::ApiFails.see(),
        )],
    }
}

/// Whether the API may have done what it was asked for, or may still do it.
pub(super) fn is_unclear(answer: &Answered) -> bool {
    answer.as_ref().map_or(true, |answer| answer.status >= 500)
}

fn failed(answer: &Answer, expected: &str) -> Vec<Problem> {
    vec![Problem::fault(
        format!("The API answers {}, expected {expected}.", answer.described()),
        match answer.status {
            500.. => format!(
                "ApiFunction's log has the reason, often a permission of ApiRole: {}.",
                Section::FunctionLogsErrors.named()
            ),
            _ => "Do what the message says; what the parameters of the stack allow is in template.yaml.".to_owned(),
        },
    )]
}

/// The sender must have read the secret and posted. Nobody answers an endpoint that does not exist.
pub(super) fn test(answer: &Answered, is_nowhere: bool) -> Vec<Problem> {
    let answer = match answer {
        Ok(answer) if answer.status == 200 => answer,
        Ok(answer) if answer.status >= 500 => {
            return vec![Problem::fault(
                format!(
                    "The API answers {} to a test: the sender cannot read the webhook or its signing secret, or cannot \
                     be invoked.",
                    answer.described()
                ),
                format!(
                    "SenderFunction's and ApiFunction's logs have the reason, often a permission of SenderRole \
                     (secretsmanager:GetSecretValue) or ApiRole (lambda:InvokeFunction): {}.",
                    Section::FunctionLogsErrors.named()
                ),
            )];
        }
        other => return expecting(200, other, "the result of a test"),
    };
    let signed = |name: &str| answer.body["request"]["headers"][name].is_string();
    if !signed("x-docintell-signature") || !signed("webhook-signature") {
        return vec![Problem::fault(
            "The test was not signed with both signatures.",
            Section::Upgrade.see(),
        )];
    }
    if is_nowhere || answer.body["success"] == true {
        return Vec::new();
    }
    let error = answer.body["error"].as_str().unwrap_or("no reason given");
    vec![Problem::fault(
        format!(
            "The sender's request to {} failed: {error}.",
            answer.body["url"].as_str().unwrap_or("the endpoint")
        ),
        "The endpoint must answer 2xx; if the sender could not connect, check the stack's network and its parameter \
         AllowedNetworks.",
    )]
}

/// What was sent must arrive with valid signatures.
pub(super) fn arrival(checks: Option<&Checks>) -> Vec<Problem> {
    let Some(checks) = checks else {
        return vec![Problem::fault(
            "Nothing has arrived at doctor's own receiver.",
            Section::NothingIsDelivered.see(),
        )];
    };
    let wrong = checks
        .all()
        .into_iter()
        .filter_map(|(scheme, check)| Some((scheme, check.as_ref().err()?)));
    wrong
        .map(|(scheme, reason)| {
            Problem::fault(
                format!("It has arrived, but {} is not valid: {reason}.", scheme.header()),
                format!(
                    "The sender uses another secret than the API has made: {}.",
                    Section::RestoreByHand.named()
                ),
            )
        })
        .collect()
}

/// The log must say that the delivery has arrived.
pub(super) fn logged(row: Option<&Value>) -> Vec<Problem> {
    let Some(row) = row else {
        return vec![Problem::fault(
            "The delivery is not in the delivery log.",
            Section::NothingIsDelivered.see(),
        )];
    };
    let (status, error) = (row["status"].as_str(), row["last_error"].as_str());
    match status {
        Some("delivered") => Vec::new(),
        status => vec![Problem::fault(
            format!(
                "The delivery is {}, expected delivered ({}).",
                status.unwrap_or("unknown"),
                error.unwrap_or("no error")
            ),
            "The endpoint must answer 2xx.",
        )],
    }
}

/// Whether no attempt follows.
pub(super) fn has_ended(row: &Value) -> bool {
    row["status"].as_str().is_some_and(|status| status != "pending")
}

/// The job's id in an event's body; no event has an empty one.
pub(super) fn job_of(body: &str) -> String {
    let body: Value = serde_json::from_str(body).unwrap_or_default();
    body["data"]["job_id"].as_str().unwrap_or("no job").to_owned()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[expect(clippy::unnecessary_wraps, reason = "what the functions take")]
    fn answer(status: u16, body: Value) -> Answered {
        Ok(Answer { status, body })
    }

    #[track_caller]
    fn says(problems: &[Problem], expected: &str) {
        let [problem] = problems else { panic!("{problems:?}") };
        let text = format!("{} {}", problem.message, problem.action);
        assert!(text.contains(expected), "{text}");
    }

    #[test]
    fn only_a_401_shows_that_the_api_is_behind_the_url() {
        let judge = |answer| without_a_key(&answer, "https://api");
        assert_eq!(judge(answer(401, Value::Null)), []);
        says(
            &judge(answer(404, Value::Null)),
            "https://api answers 404 without a key, expected 401",
        );
        says(&judge(answer(503, json!({"message": "busy"}))), "answers 503 (busy), expected 401");
        says(&judge(Err("refused".to_owned())), "https://api does not answer: refused.");
    }

    #[test]
    fn another_status_than_the_expected_one_quotes_the_api() {
        let judge = |answer| expecting(201, &answer, "a new webhook");
        assert_eq!(judge(answer(201, Value::Null)), []);
        says(&judge(answer(409, json!({"message": "Limit reached"}))), "409 (Limit reached)");
        says(&judge(answer(500, Value::Null)), "a permission of ApiRole");
        says(&judge(Err("closed".to_owned())), "does not answer: closed");
    }

    #[test]
    fn only_a_status_below_500_says_what_was_done() {
        assert!(is_unclear(&Err("closed".to_owned())));
        for (status, unclear) in [(201, false), (422, false), (500, true), (504, true)] {
            assert_eq!(is_unclear(&answer(status, Value::Null)), unclear, "{status}");
        }
    }

    #[test]
    fn a_test_shows_whether_the_sender_can_read_the_secret_and_whether_the_endpoint_answers() {
        let headers = json!({"x-docintell-signature": "sha256=", "webhook-signature": "v1,"});
        let result = |success: bool| {
            let error = (!success).then_some("the host name does not exist");
            answer(
                200,
                json!({"success": success, "url": "https://a/", "error": error, "request": {"headers": headers}}),
            )
        };
        assert_eq!(test(&result(true), false), []);
        assert_eq!(test(&result(false), true), []);
        says(&test(&result(false), false), "https://a/ failed: the host name does not exist.");
        says(&test(&answer(503, Value::Null), true), "secretsmanager:GetSecretValue");
        says(&test(&answer(404, Value::Null), true), "answers 404, expected 200");
        says(&test(&answer(200, json!({"success": true})), true), "not signed");
    }

    #[test]
    fn a_delivery_must_arrive_with_valid_signatures_and_be_logged() {
        use crate::listen::Reason;
        says(&arrival(None), "Nothing has arrived");
        assert_eq!(arrival(Some(&Checks { guide: Ok(()), standard: Ok(()) })), []);
        let wrong = Checks { guide: Err(Reason::WrongSecret), standard: Ok(()) };
        says(&arrival(Some(&wrong)), "X-DocIntell-Signature is not valid");
        says(&logged(None), "not in the delivery log");
        assert_eq!(logged(Some(&json!({"status": "delivered"}))), []);
        let failed = json!({"status": "failed", "last_error": "the endpoint answered 500"});
        says(&logged(Some(&failed)), "is failed, expected delivered (the endpoint answered 500)");
    }

    #[test]
    fn a_pending_delivery_has_not_ended() {
        for (status, ended) in [("pending", false), ("delivered", true), ("failed", true)] {
            assert_eq!(has_ended(&json!({"status": status})), ended, "{status}");
        }
    }

    #[test]
    fn the_job_of_a_test_is_in_its_body() {
        assert_eq!(job_of(r#"{"data":{"job_id":"a"}}"#), "a");
        assert_eq!(job_of("{}"), "no job");
    }
}
