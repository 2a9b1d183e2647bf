//! Reads parts of template.yaml, for tests that compare what doctor expects with it.

pub(super) const TEMPLATE: &str = include_str!("../../../template.yaml");

/// The text of the resource `name`.
pub(super) fn section<'a>(template: &'a str, name: &str) -> &'a str {
    let heading = format!("\n  {name}:\n    Type: ");
    let start = template.find(&heading).unwrap_or_else(|| panic!("the template has no {name}"));
    let text = &template[start + 1..];
    text.find("\n\n").map_or(text, |end| &text[..end])
}

/// The values of `key`, in blocks and in braces.
pub(super) fn values<'a>(text: &'a str, key: &str) -> Vec<&'a str> {
    let key = format!("{key}: ");
    let of_line = |line: &'a str| {
        let (before, value) = line.split_once(&key)?;
        let is_whole = before.is_empty() || before.ends_with([' ', '{']);
        let in_braces = value.split([',', '}']).next().filter(|_| before.contains('{'));
        is_whole.then_some(in_braces.unwrap_or(value))
    };
    text.lines().filter_map(of_line).collect()
}

/// The names of the resources of this type, in order.
pub(super) fn names_of_type(wanted: &str) -> Vec<&'static str> {
    let wanted = format!("    Type: {wanted}");
    let pairs = TEMPLATE.lines().zip(TEMPLATE.lines().skip(1));
    let headings = pairs.filter(|(_, next)| *next == wanted).map(|(line, _)| line.trim());
    headings.filter_map(|heading| heading.strip_suffix(':')).collect()
}
