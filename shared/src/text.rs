//! Untrusted text: cut to a maximum length, made printable, or parsed into a value.

use std::fmt::{self, Display};
use std::marker::PhantomData;
use std::str::FromStr;

use serde::Deserializer;
use serde::de::{self, Visitor};

/// The first `count` characters of `text`, or all of it if it is shorter.
#[must_use]
pub fn first_chars(text: &str, count: usize) -> &str {
    text.char_indices().nth(count).map_or(text, |(end, _)| &text[..end])
}

/// Maximum characters to keep of a text from an endpoint, a resolver or a library.
pub(crate) const MAX_FOREIGN_CHARS: usize = 500;

/// The first 500 characters of `text`, safe to store, to queue and to print on a terminal.
/// `printable_char` replaces those that are not.
#[must_use]
pub fn printable(text: &str) -> String {
    visible(first_chars(text, MAX_FOREIGN_CHARS))
}

/// [`printable`] without a limit.
#[must_use]
pub fn visible(text: &str) -> String {
    text.chars().map(printable_char).collect()
}

/// True if [`printable`] would keep every character of `text`.
#[must_use]
pub fn is_printable(text: &str) -> bool {
    text.chars().all(|c| printable_char(c) == c)
}

/// Replaces a character that is not printable.
///
/// C0 controls and DEL become their pictures (U+2400 to U+2421). C1 controls, invisible characters, line breaks,
/// direction changes and noncharacters become U+FFFD. The joiners U+200C and U+200D stay: some languages and emoji
/// need them.
fn printable_char(c: char) -> char {
    match c {
        '\0'..='\u{1f}' => {
            char::from_u32(0x2400 + u32::from(c)).unwrap_or(char::REPLACEMENT_CHARACTER)
        }
        '\u{7f}' => '\u{2421}',
        '\u{80}'..='\u{9f}'
        | '\u{ad}'
        | '\u{61c}'
        | '\u{200b}'
        | '\u{200e}'
        | '\u{200f}'
        | '\u{2028}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}'
        | '\u{feff}'
        | '\u{fff9}'..='\u{fffb}'
        | '\u{fdd0}'..='\u{fdef}'
        | '\u{e0000}'..='\u{e007f}' => char::REPLACEMENT_CHARACTER,
        // The last two characters of each plane are noncharacters; SQS refuses those of the first plane.
        _ if u32::from(c) & 0xfffe == 0xfffe => char::REPLACEMENT_CHARACTER,
        _ => c,
    }
}

/// Implements `Deserialize` with `FromStr`, without copying the string.
pub(crate) fn deserialize<'de, T, D>(deserializer: D) -> Result<T, D::Error>
where
    T: FromStr,
    T::Err: Display,
    D: Deserializer<'de>,
{
    struct Text<T>(PhantomData<T>);

    impl<T> Visitor<'_> for Text<T>
    where
        T: FromStr,
        T::Err: Display,
    {
        type Value = T;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a string")
        }

        fn visit_str<E: de::Error>(self, text: &str) -> Result<T, E> {
            text.parse().map_err(E::custom)
        }
    }

    deserializer.deserialize_str(Text(PhantomData))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_cut_between_characters() {
        assert_eq!(first_chars("é𝄞x", 2), "é𝄞");
        assert_eq!(first_chars("é𝄞x", 3), "é𝄞x");
        assert_eq!(first_chars("", 3), "");
    }

    #[test]
    fn printable_keeps_visible_characters_and_replaces_others() {
        for (text, shown) in [
            ("Grüße, 世界 𝄞 👍🏽", "Grüße, 世界 𝄞 👍🏽"),
            ("\u{1b}[31mred\r\n\t\0\u{7f}", "␛[31mred␍␊␉␀␡"),
            ("\u{9b}2J\u{85}", "\u{fffd}2J\u{fffd}"),
            ("txt.\u{202e}exe\u{2028}\u{2066}", "txt.\u{fffd}exe\u{fffd}\u{fffd}"),
            ("\u{fffe}\u{ffff}\u{1fffe}\u{10ffff}", "\u{fffd}\u{fffd}\u{fffd}\u{fffd}"),
            ("a\u{200b}b\u{ad}c\u{feff}\u{e0041}", "a\u{fffd}b\u{fffd}c\u{fffd}\u{fffd}"),
            ("می\u{200c}خواهم 👨\u{200d}👩", "می\u{200c}خواهم 👨\u{200d}👩"),
        ] {
            assert_eq!(printable(text), shown);
        }
    }

    #[test]
    fn printable_cuts_at_500_characters() {
        assert_eq!(printable(&"é".repeat(501)), "é".repeat(500));
    }
}
