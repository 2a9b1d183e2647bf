//! What a webhook's owner writes about it.
//!
//! The rule: it is text for people. Nothing decides by it.

use serde::{Deserialize, Serialize};

/// 1 to [`Self::MAX_CHARS`] characters without control characters.
///
/// A row's text is not checked again: a delivery does not need it, and a later version may allow more.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Description(String);

/// A new description, or none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DescriptionChange {
    /// This one.
    Set(Description),
    /// None.
    Clear,
}

/// Why a text is not a description.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidDescription {
    /// It has more than [`Description::MAX_CHARS`] characters.
    #[error("must have at most {} characters", Description::MAX_CHARS)]
    TooLong,
    /// It has a control character, such as a line break.
    #[error("must not contain control characters, such as line breaks and tabs")]
    ControlCharacter,
}

impl Description {
    /// Maximum Unicode characters.
    pub const MAX_CHARS: usize = 256;

    /// The owner's text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl DescriptionChange {
    /// An empty text clears the description.
    pub fn parse(text: &str) -> Result<Self, InvalidDescription> {
        if text.is_empty() {
            Ok(Self::Clear)
        } else if text.chars().nth(Description::MAX_CHARS).is_some() {
            Err(InvalidDescription::TooLong)
        } else if text.chars().any(char::is_control) {
            Err(InvalidDescription::ControlCharacter)
        } else {
            Ok(Self::Set(Description(text.to_owned())))
        }
    }

    /// The description after the change.
    #[must_use]
    pub fn into_value(self) -> Option<Description> {
        match self {
            Self::Set(description) => Some(description),
            Self::Clear => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_description_has_up_to_256_characters_and_no_control_characters() {
        for text in ["x", " ", "Grüße, 世界 👨\u{200d}👩", "<b>", &"𝄞".repeat(256)] {
            let parsed = DescriptionChange::parse(text).map(DescriptionChange::into_value);
            assert_eq!(parsed, Ok(Some(Description(text.to_owned()))));
        }
        let too_long = Err(InvalidDescription::TooLong);
        assert_eq!(DescriptionChange::parse(&"x".repeat(257)), too_long);
        for text in ["a\nb", "\t", "\0", "\u{1b}[2J", "\u{7f}", "\u{85}"] {
            let refused = Err(InvalidDescription::ControlCharacter);
            assert_eq!(DescriptionChange::parse(text), refused, "{text:?}");
        }
    }

    #[test]
    fn an_empty_text_clears_the_description() {
        assert_eq!(DescriptionChange::parse("").map(DescriptionChange::into_value), Ok(None));
    }
}
