//! Which status a request gets. Pure.

use std::time::Duration;

use axum::http::StatusCode;

/// How long the service waits for an answer.
pub(crate) const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(10);

/// The statuses to answer with.
#[derive(Debug, Clone, Default)]
pub(crate) struct Answers {
    /// For the first request of a delivery, the second and so on; the last one repeats. Empty: the signatures decide.
    pub(crate) statuses: Vec<StatusCode>,
    pub(crate) delay: Duration,
}

impl Answers {
    /// The status for a delivery's request with this number, from 1.
    pub(crate) fn status(&self, number: usize, is_valid: bool) -> StatusCode {
        let scheduled = self.statuses.get(number - 1).or(self.statuses.last());
        match scheduled {
            Some(status) => *status,
            None if is_valid => StatusCode::OK,
            None => StatusCode::UNAUTHORIZED,
        }
    }
}

/// What the service does next after this status, which it got after `delay`.
pub(crate) fn meaning(status: StatusCode, delay: Duration) -> &'static str {
    match status.as_u16() {
        _ if delay >= ATTEMPT_TIMEOUT => "too late: DocIntell waits 10 s, and the attempt failed",
        200..=299 => "delivered",
        401 | 403 => "final, except during a rotation: not retried",
        408 | 425 | 429 => "final, unless the operator retries this status",
        410 => "final, and switches the webhook off: nothing more arrives",
        400..=499 => "final: not retried",
        _ => "retried, up to the webhook's max_retries",
    }
}

/// A status that ends a response.
pub(crate) fn status(text: &str) -> Result<StatusCode, String> {
    let status =
        text.parse().ok().filter(|status: &StatusCode| (200..=599).contains(&status.as_u16()));
    status.ok_or_else(|| "not a status; expected a number from 200 to 599".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answers(statuses: &[u16]) -> Answers {
        let statuses = statuses.iter().map(|it| StatusCode::from_u16(*it).unwrap()).collect();
        Answers { statuses, delay: Duration::ZERO }
    }

    #[test]
    fn the_schedule_is_followed_and_its_last_status_repeats() {
        let answers = answers(&[500, 503, 200]);
        let given: Vec<u16> = (1..=5).map(|n| answers.status(n, false).as_u16()).collect();
        assert_eq!(given, [500, 503, 200, 200, 200]);
    }

    #[test]
    fn without_a_schedule_the_signatures_decide() {
        for (is_valid, status) in [(true, 200), (false, 401)] {
            assert_eq!(answers(&[]).status(1, is_valid).as_u16(), status);
            assert_eq!(answers(&[204]).status(1, is_valid).as_u16(), 204);
        }
    }

    #[test]
    fn a_status_is_one_that_ends_a_response() {
        for text in ["200", "307", "410", "599"] {
            assert_eq!(status(text).map(|it| it.as_u16().to_string()).as_deref(), Ok(text));
        }
        for text in ["", "20", "100", "199", "600", "1000", "-1", "ok"] {
            assert!(status(text).is_err(), "{text}");
        }
    }

    #[test]
    fn the_meaning_follows_the_status_and_the_time_limit() {
        let soon = Duration::from_millis(9_999);
        for (code, meant) in [
            (200, "delivered"),
            (302, "retried"),
            (400, "final: not"),
            (401, "final, except"),
            (410, "switches the webhook off"),
            (429, "unless the operator"),
            (500, "retried"),
        ] {
            let status = StatusCode::from_u16(code).unwrap();
            assert!(meaning(status, soon).contains(meant), "{code}");
            assert!(meaning(status, ATTEMPT_TIMEOUT).contains("too late"), "{code}");
        }
    }
}
