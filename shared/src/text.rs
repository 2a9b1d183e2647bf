//! Text that others wrote: cut to a length of ours, made harmless to print, or read as a value.

use std::fmt::{self, Display};
use std::marker::PhantomData;
use std::str::FromStr;

use serde::Deserializer;
use serde::de::{self, Visitor};

/// The first `count` characters of `text`, or all of it.
#[must_use]
pub fn first_chars(text: &str, count: usize) -> &str {
    text.char_indices().nth(count).map_or(text, |(end, _)| &text[..end])
}

/// The most that is kept of a text that an endpoint, a resolver or a library wrote, in characters.
pub const MAX_FOREIGN_CHARS: usize = 500;

/// The first [`MAX_FOREIGN_CHARS`] characters of `text`, each of which can be stored, queued and shown in
/// a terminal: [`printable_char`] says how.
#[must_use]
pub fn printable(text: &str) -> String {
    text.chars().take(MAX_FOREIGN_CHARS).map(printable_char).collect()
}

/// Whether [`printable`] keeps every character of `text`.
#[must_use]
pub fn is_printable(text: &str) -> bool {
    text.chars().all(|c| printable_char(c) == c)
}

/// `c`, or what shows it where it would do something else than be seen.
///
/// C0 controls and DEL become their pictures (U+2400 to U+2421). C1 controls, characters that are invisible, break a
/// line or change its direction, and noncharacters become U+FFFD. The joiners U+200C and U+200D stay, which
/// languages and emoji need.
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
        // The last two of each plane are noncharacters, those of the first SQS refuses.
        _ if u32::from(c) & 0xfffe == 0xfffe => char::REPLACEMENT_CHARACTER,
        _ => c,
    }
}

/// Reads a value from a text in a document, for `Deserialize`; the text itself is not copied.
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
    fn a_text_is_cut_between_characters_or_not_at_all() {
        assert_eq!(first_chars("é𝄞x", 2), "é𝄞");
        assert_eq!(first_chars("é𝄞x", 3), "é𝄞x");
        assert_eq!(first_chars("", 3), "");
    }

    #[test]
    fn a_foreign_text_keeps_what_can_be_seen_and_shows_what_cannot() {
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
    fn a_foreign_text_is_cut_at_500_characters() {
        assert_eq!(printable(&"é".repeat(501)), "é".repeat(500));
    }
}
