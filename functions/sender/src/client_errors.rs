//! The client errors (4xx) that are retried: a setting of the whole stack.
//!
//! The rule: by default there are none, and any 4xx is final.

use std::str::FromStr;

use reqwest::StatusCode;

/// The statuses that can be chosen: each says that the same request may succeed later.
const CHOICES: [StatusCode; 3] =
    [StatusCode::REQUEST_TIMEOUT, StatusCode::TOO_EARLY, StatusCode::TOO_MANY_REQUESTS];

/// Some of 408, 425 and 429.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RetriedClientErrors(Vec<StatusCode>);

/// The list has something else than these statuses.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not one of 408, 425 and 429, separated by commas")]
pub struct InvalidClientErrors(String);

impl RetriedClientErrors {
    pub(crate) fn contains(&self, status: StatusCode) -> bool {
        self.0.contains(&status)
    }
}

/// A list separated by commas; empty for none.
impl FromStr for RetriedClientErrors {
    type Err = InvalidClientErrors;

    fn from_str(list: &str) -> Result<Self, InvalidClientErrors> {
        let choice = |text: &str| {
            let found = CHOICES.into_iter().find(|choice| choice.as_str() == text);
            found.ok_or_else(|| InvalidClientErrors(text.to_owned()))
        };
        let texts = list.split(',').filter(|_| !list.is_empty());
        texts.map(choice).collect::<Result<_, _>>().map(Self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_408_425_and_429_can_be_chosen() {
        let none = RetriedClientErrors::default();
        assert_eq!("".parse(), Ok(none));
        let all: RetriedClientErrors = "429,408,425".parse().unwrap();
        assert!(CHOICES.into_iter().all(|status| all.contains(status)));
        assert!(!all.contains(StatusCode::GONE));
        for wrong in ["410", "500", "429,", " 429", "429;408", "4xx"] {
            assert!(wrong.parse::<RetriedClientErrors>().is_err(), "{wrong}");
        }
    }
}
