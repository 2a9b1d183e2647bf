//! The texts of a queue message.
//!
//! The rule: SQS takes XML 1.0's characters and refuses a message with any other, in its body as in its
//! attributes. So a text enters a message only as one of these types, which hold nothing else.
//!
//! <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SendMessage.html>

use serde::Serialize;
use serde_json::value::RawValue;

/// A message's body: JSON that SQS takes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MessageJson(String);

impl MessageJson {
    /// `value` as compact JSON. The same value always makes the same bytes.
    pub fn of(value: &impl Serialize) -> Result<Self, serde_json::Error> {
        serde_json::to_string(value).map(Self::escaping)
    }

    /// Escapes the two characters that JSON allows and SQS does not; all others that XML 1.0 lacks are
    /// escaped in any JSON. They stand inside strings: JSON has no other place for them.
    fn escaping(json: String) -> Self {
        if json.contains('\u{fffe}') || json.contains('\u{ffff}') {
            return Self(json.replace('\u{fffe}', r"\ufffe").replace('\u{ffff}', r"\uffff"));
        }
        Self(json)
    }

    /// The JSON.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The same bytes as a part of other JSON.
    pub fn into_raw(self) -> Result<Box<RawValue>, serde_json::Error> {
        RawValue::from_string(self.0)
    }
}

impl From<MessageJson> for String {
    fn from(json: MessageJson) -> Self {
        json.0
    }
}

/// An attribute's value: each character that SQS refuses is U+FFFD.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AttributeText(String);

impl AttributeText {
    /// The value; SQS refuses an empty one.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl<T: AsRef<str>> From<T> for AttributeText {
    fn from(text: T) -> Self {
        let or_replaced = |c| if is_allowed(c) { c } else { char::REPLACEMENT_CHARACTER };
        Self(text.as_ref().chars().map(or_replaced).collect())
    }
}

/// Whether XML 1.0 has the character: <https://www.w3.org/TR/xml/#charsets>.
const fn is_allowed(c: char) -> bool {
    matches!(c, '\t' | '\n' | '\r' | ' '..='\u{d7ff}' | '\u{e000}'..='\u{fffd}' | '\u{10000}'..)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn every_char() -> String {
        ('\0'..=char::MAX).collect()
    }

    #[test]
    fn a_body_of_every_character_is_the_same_json_and_has_none_that_sqs_refuses() {
        let text = every_char();
        let json = MessageJson::of(&text).unwrap();
        assert!(json.as_str().chars().all(is_allowed));
        assert_eq!(serde_json::from_str::<String>(json.as_str()).unwrap(), text);
    }

    #[test]
    fn what_sqs_takes_is_written_as_in_any_json() {
        let text: String =
            every_char().chars().filter(|c| !"\u{fffe}\u{ffff}".contains(*c)).collect();
        let json = MessageJson::of(&text).unwrap();
        assert_eq!(json.as_str(), serde_json::to_string(&text).unwrap());
    }

    #[test]
    fn an_escape_beside_a_backslash_stays_an_escape() {
        let json = MessageJson::of(&"\\\u{ffff}\\u\u{fffe}").unwrap();
        assert_eq!(json.as_str(), r#""\\\uffff\\u\ufffe""#);
    }

    #[test]
    fn json_inside_json_is_escaped_too() {
        let raw = RawValue::from_string("[\"\u{ffff}\", 1.50]".to_owned()).unwrap();
        assert_eq!(MessageJson::of(&raw).unwrap().as_str(), r#"["\uffff", 1.50]"#);
    }

    #[test]
    fn an_attribute_keeps_what_sqs_takes_and_nothing_else() {
        let value = AttributeText::from("é\t\u{fffe}\u{ffff}\0\u{1b}𝄞");
        assert_eq!(value.as_str(), "é\t\u{fffd}\u{fffd}\u{fffd}\u{fffd}𝄞");
        assert!(AttributeText::from(every_char()).as_str().chars().all(is_allowed));
    }
}
