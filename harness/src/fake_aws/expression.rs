//! What an `UpdateExpression` writes. Pure.

use serde_json::Value;

/// One path that is written.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Write {
    /// In its parts: `#a.b[0]` is `["name of #a", "b", "[0]"]`.
    pub path: Vec<String>,
    /// What is written, without spaces; empty where the path is removed.
    pub operand: String,
}

/// Everything that an `UpdateItem` writes, in its order.
pub(super) fn writes(input: &Value) -> Vec<Write> {
    let expression = input["UpdateExpression"].as_str().unwrap_or_default();
    let spaced = ["(", ")", ",", "="]
        .iter()
        .fold(expression.to_owned(), |text, mark| text.replace(mark, &format!(" {mark} ")));
    let mut writes: Vec<Write> = Vec::new();
    let mut depth = 0_usize;
    for word in spaced.split_whitespace() {
        match word.to_ascii_uppercase().as_str() {
            // A path comes after a section's name, and after each comma outside of functions' arguments.
            "," | "SET" | "REMOVE" | "ADD" | "DELETE" if depth == 0 => {
                writes.push(Write { path: Vec::new(), operand: String::new() });
                continue;
            }
            "(" => depth += 1,
            ")" => depth = depth.saturating_sub(1),
            _ => {}
        }
        match writes.last_mut() {
            Some(write) if write.path.is_empty() => {
                write.path = parts(word, &input["ExpressionAttributeNames"]);
            }
            Some(write) if word != "=" => write.operand.push_str(word),
            _ => {}
        }
    }
    writes
}

fn parts(path: &str, names: &Value) -> Vec<String> {
    path.replace('[', ".[")
        .split('.')
        .map(|part| names[part].as_str().unwrap_or(part).to_owned())
        .collect()
}
