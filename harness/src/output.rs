//! Assertions about long texts, such as a function's log.
//!
//! The rule: a failed assertion shows the word and a few lines, never the whole text.

use serde_json::Value;

/// The key of the metadata in a line of metrics.
const METRICS: &str = "_aws";
/// Limits of the lines to show.
const LINES: usize = 10;
const LINE_CHARS: usize = 400;
/// Bytes of a line to show before the word.
const BEFORE: usize = 100;

/// Asserts that `word` is in the text.
#[track_caller]
pub fn assert_contains(text: &str, word: &str) {
    assert!(text.contains(word), "{word:?} is not in the text. It ends with\n{}", end(text));
}

/// Asserts how many times `word` is in the text.
#[track_caller]
pub fn assert_contains_times(text: &str, word: &str, times: usize) {
    assert_eq!(
        text.matches(word).count(),
        times,
        "lines with {word:?}:\n{}",
        lines_with(text, word)
    );
}

/// Asserts that `word` is not in the text.
#[track_caller]
pub fn assert_lacks(text: &str, word: &str) {
    assert_contains_times(text, word, 0);
}

/// The last lines.
#[must_use]
pub fn end(text: &str) -> String {
    let count = text.lines().count();
    truncated(text.lines().skip(count.saturating_sub(LINES)))
}

fn lines_with(text: &str, word: &str) -> String {
    let lines = text.lines().filter_map(|line| {
        let begin = line.find(word)?.saturating_sub(BEFORE);
        Some(&line[line.floor_char_boundary(begin)..])
    });
    truncated(lines.take(LINES))
}

fn truncated<'a>(lines: impl Iterator<Item = &'a str>) -> String {
    lines.map(|line| line.chars().take(LINE_CHARS).chain(['\n']).collect::<String>()).collect()
}

/// The lines of a function's log that are not metrics. Lines that are not JSON are left out.
#[must_use]
pub fn log_lines(log: &str) -> Vec<Value> {
    json_lines(log).filter(|line| line.get(METRICS).is_none()).collect()
}

/// The lines of a function's log that are metrics, without their metadata.
#[must_use]
pub fn metric_lines(log: &str) -> Vec<Value> {
    let metrics = json_lines(log).filter_map(|mut line| {
        line.as_object_mut()?.remove(METRICS)?;
        Some(line)
    });
    metrics.collect()
}

/// The lines of a function's log that are JSON.
pub fn json_lines(log: &str) -> impl Iterator<Item = Value> {
    log.lines().filter_map(|line| serde_json::from_str(line).ok())
}
