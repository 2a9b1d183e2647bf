//! Why a call to AWS failed.
//!
//! The rule: a call that is not allowed is a problem of its check only, and names the missing action.

use std::error::Error;
use std::fmt::Debug;

use aws_sdk_dynamodb::error::{ProvideErrorMetadata, SdkError};
use webhooks::aws::chain;
use webhooks::text::{first_chars, printable};

use super::finding::Problem;
use super::{advice, tables};

/// Maximum characters of AWS's own message to repeat.
const MAX_QUOTED: usize = 300;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Failure {
    /// The caller lacks this permission, such as `dynamodb:DescribeTable`.
    Denied(&'static str),
    /// What the call is about does not exist.
    Missing,
    /// There is no table with this name.
    NoTable(String),
    /// Nothing came back in time.
    NoAnswer(&'static str),
    Refused {
        action: &'static str,
        /// AWS's own words.
        message: String,
    },
}

impl Failure {
    /// For `map_err`: wraps an error of the call that needs the permission `action`.
    pub(crate) fn of<E, R>(action: &'static str) -> impl FnOnce(SdkError<E, R>) -> Self
    where
        E: ProvideErrorMetadata + Error + Send + Sync + 'static,
        R: Debug + Send + Sync + 'static,
    {
        move |error| {
            if matches!(error, SdkError::TimeoutError(_) | SdkError::DispatchFailure(_)) {
                return Self::NoAnswer(action);
            }
            let code = error.code().unwrap_or_default().to_owned();
            let message = error.message().map_or_else(|| chain(&error), str::to_owned);
            Self::of_code(action, &code, &message)
        }
    }

    /// For `map_err`: [`Self::of`] a call about the rows of this table.
    pub(crate) fn in_table<E, R>(
        action: &'static str,
        table: &str,
    ) -> impl FnOnce(SdkError<E, R>) -> Self
    where
        E: ProvideErrorMetadata + Error + Send + Sync + 'static,
        R: Debug + Send + Sync + 'static,
    {
        move |error| match Self::of(action)(error) {
            Self::Missing => Self::NoTable(table.to_owned()),
            failure => failure,
        }
    }

    fn of_code(action: &'static str, code: &str, message: &str) -> Self {
        let is = |part: &str| code.contains(part);
        if is("AccessDenied") || is("Unauthorized") || is("NotAuthorized") {
            Self::Denied(action)
        } else if is("NotFound") || is("NonExistentQueue") || is("QueueDoesNotExist") {
            Self::Missing
        } else {
            let message = printable(first_chars(message, MAX_QUOTED));
            Self::Refused { action, message: message.trim_end_matches('.').to_owned() }
        }
    }

    /// The problem, where it does not matter what is missing; [`Self::or_missing`] otherwise.
    pub(crate) fn problem(&self) -> Problem {
        self.or_missing(|| Problem::fault("It does not exist.", advice::restore_by_hand()))
    }

    /// The problem; `missing` makes the one for what does not exist.
    pub(crate) fn or_missing(&self, missing: impl FnOnce() -> Problem) -> Problem {
        match self {
            Self::Missing => missing(),
            Self::NoTable(name) => tables::missing(name),
            Self::Denied(action) => Problem::fault(
                format!("Your credentials lack the permission {action}, so this is not checked."),
                advice::PERMISSIONS,
            ),
            Self::NoAnswer(action) => Problem::fault(
                format!("AWS did not answer the call {action} in time."),
                "Check the network and the region, and run doctor again.",
            ),
            Self::Refused { action, message } => Problem::fault(
                format!("The call {action} failed: {message}."),
                "Run doctor again; if it fails again, look the message up in the AWS documentation.",
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use aws_sdk_dynamodb::error::ErrorMetadata;
    use aws_sdk_dynamodb::types::error::ResourceNotFoundException;

    use super::*;

    #[test]
    fn the_code_of_an_error_says_whether_something_is_missing_or_not_allowed() {
        let of = |code| Failure::of_code("sqs:GetQueueAttributes", code, "No.");
        for code in ["AccessDenied", "AccessDeniedException", "UnauthorizedOperation"] {
            assert_eq!(of(code), Failure::Denied("sqs:GetQueueAttributes"), "{code}");
        }
        for code in ["ResourceNotFoundException", "AWS.SimpleQueueService.NonExistentQueue"] {
            assert_eq!(of(code), Failure::Missing, "{code}");
        }
        let action = "sqs:GetQueueAttributes";
        assert_eq!(of("Throttling"), Failure::Refused { action, message: "No".to_owned() });
    }

    #[test]
    fn a_table_that_is_gone_is_named() {
        let gone = ResourceNotFoundException::builder()
            .meta(ErrorMetadata::builder().code("ResourceNotFoundException").build())
            .build();
        let error = SdkError::service_error(gone, ());
        let problem = Failure::in_table("dynamodb:Scan", "prod-webhooks")(error).problem();
        assert!(problem.message.contains("There is no table prod-webhooks"), "{problem:?}");
    }

    #[test]
    fn a_denied_call_names_the_action_to_allow() {
        let Problem { message, action, .. } = Failure::Denied("sts:X").problem();
        assert!(message.contains("sts:X") && action.contains("docs/PERMISSIONS.md"), "{message}");
    }
}
