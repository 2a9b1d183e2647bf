//! Cutting text that others wrote to a length of ours, between characters.

/// The first `count` characters of `text`, or all of it.
#[must_use]
pub fn first_chars(text: &str, count: usize) -> &str {
    text.char_indices().nth(count).map_or(text, |(end, _)| &text[..end])
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
}
