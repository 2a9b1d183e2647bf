//! Parses an `UpdateExpression`. Pure.

use serde_json::Value;

/// A path that the expression writes or removes.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Write {
    /// The path's parts: `#a.b[0]` is `["name of #a", "b", "[0]"]`.
    pub path: Vec<String>,
    /// The right side, without spaces; empty if the path is removed.
    pub operand: String,
}

/// The writes of an `UpdateItem`, in the expression's order.
pub(super) fn writes(input: &Value) -> Vec<Write> {
    let expression = input["UpdateExpression"].as_str().unwrap_or_default();
    let spaced = ["(", ")", ",", "="]
        .iter()
        .fold(expression.to_owned(), |text, mark| text.replace(mark, &format!(" {mark} ")));
    let mut writes: Vec<Write> = Vec::new();
    let mut depth = 0_usize;
    for word in spaced.split_whitespace() {
        match word.to_ascii_uppercase().as_str() {
            // A path follows a section's name, or a comma outside of a function's arguments.
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
