//! Text that SQS accepts in a message.
//!
//! The rule: every body and attribute has one of these types. They contain only XML 1.0 characters, because SQS
//! refuses a message with any other character.
//!
//! <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SendMessage.html>

use serde::Serialize;
use serde_json::value::RawValue;

/// A message body: JSON without characters that SQS refuses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MessageJson(String);

impl MessageJson {
    /// Compact JSON; the same value always gives the same bytes.
    pub(crate) fn of(value: &impl Serialize) -> Result<Self, serde_json::Error> {
        serde_json::to_string(value).map(Self::escaping)
    }

    /// Escapes U+FFFE and U+FFFF, the only two characters that JSON allows unescaped and SQS refuses. JSON can
    /// contain them only inside strings.
    fn escaping(json: String) -> Self {
        if json.contains('\u{fffe}') || json.contains('\u{ffff}') {
            return Self(json.replace('\u{fffe}', r"\ufffe").replace('\u{ffff}', r"\uffff"));
        }
        Self(json)
    }

    /// The JSON text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The same bytes, to embed in other JSON.
    pub(crate) fn into_raw(self) -> Result<Box<RawValue>, serde_json::Error> {
        RawValue::from_string(self.0)
    }
}

impl From<MessageJson> for String {
    fn from(json: MessageJson) -> Self {
        json.0
    }
}

/// An attribute's value; U+FFFD replaces each character that SQS refuses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AttributeText(String);

impl AttributeText {
    /// May be empty, which SQS refuses.
    #[must_use]
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl<T: AsRef<str>> From<T> for AttributeText {
    fn from(text: T) -> Self {
        let or_replaced = |c| if is_allowed(c) { c } else { char::REPLACEMENT_CHARACTER };
        Self(text.as_ref().chars().map(or_replaced).collect())
    }
}

/// True for the characters of XML 1.0: <https://www.w3.org/TR/xml/#charsets>.
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
    fn a_body_with_every_character_stays_the_same_json_without_any_that_sqs_refuses() {
        let text = every_char();
        let json = MessageJson::of(&text).unwrap();
        assert!(json.as_str().chars().all(is_allowed));
        assert_eq!(serde_json::from_str::<String>(json.as_str()).unwrap(), text);
    }

    #[test]
    fn other_characters_are_written_as_serde_json_writes_them() {
        let text: String =
            every_char().chars().filter(|c| !"\u{fffe}\u{ffff}".contains(*c)).collect();
        let json = MessageJson::of(&text).unwrap();
        assert_eq!(json.as_str(), serde_json::to_string(&text).unwrap());
    }

    #[test]
    fn a_backslash_before_an_escaped_character_is_kept() {
        let json = MessageJson::of(&"\\\u{ffff}\\u\u{fffe}").unwrap();
        assert_eq!(json.as_str(), r#""\\\uffff\\u\ufffe""#);
    }

    #[test]
    fn json_inside_json_is_escaped_too() {
        let raw = RawValue::from_string("[\"\u{ffff}\", 1.50]".to_owned()).unwrap();
        assert_eq!(MessageJson::of(&raw).unwrap().as_str(), r#"["\uffff", 1.50]"#);
    }

    #[test]
    fn an_attribute_keeps_only_characters_that_sqs_accepts() {
        let value = AttributeText::from("é\t\u{fffe}\u{ffff}\0\u{1b}𝄞");
        assert_eq!(value.as_str(), "é\t\u{fffd}\u{fffd}\u{fffd}\u{fffd}𝄞");
        assert!(AttributeText::from(every_char()).as_str().chars().all(is_allowed));
    }
}
