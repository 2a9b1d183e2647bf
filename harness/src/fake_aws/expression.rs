//! Parses and applies an `UpdateExpression`. Pure.

use serde_json::{Value, json};

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

/// The row after an `UpdateItem`, whose condition holds.
pub(super) fn updated(row: &Value, input: &Value) -> Value {
    let mut after = row.clone();
    let Some(attributes) = after.as_object_mut() else { return after };
    for Write { path, operand } in writes(input) {
        let attribute = path.concat();
        if operand.is_empty() {
            attributes.remove(&attribute);
        } else {
            attributes.insert(attribute, value(&operand, row, &input["ExpressionAttributeValues"]));
        }
    }
    after
}

/// The value on the right side of an assignment.
fn value(operand: &str, row: &Value, values: &Value) -> Value {
    if let Some((left, right)) = operand.split_once('+') {
        let number = |operand| {
            let digits = value(operand, row, values)["N"].as_str().map(str::parse::<i64>);
            digits.and_then(Result::ok).unwrap_or_default()
        };
        return json!({"N": (number(left) + number(right)).to_string()});
    }
    // The first argument may be a function; the second one is a value.
    let arguments =
        |function: &str| operand.strip_prefix(function)?.strip_suffix(')')?.rsplit_once(',');
    if let Some((attribute, default)) = arguments("if_not_exists(") {
        let existing = row.get(attribute).cloned();
        return existing.unwrap_or_else(|| value(default, row, values));
    }
    if let Some((first, second)) = arguments("list_append(") {
        let [first, second] = [first, second].map(|operand| value(operand, row, values));
        let items = [&first["L"], &second["L"]].into_iter().filter_map(Value::as_array).flatten();
        return json!({"L": items.collect::<Vec<_>>()});
    }
    values[operand].clone()
}

fn parts(path: &str, names: &Value) -> Vec<String> {
    path.replace('[', ".[")
        .split('.')
        .map(|part| names[part].as_str().unwrap_or(part).to_owned())
        .collect()
}
