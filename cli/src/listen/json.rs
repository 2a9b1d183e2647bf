//! A body's JSON with its keys in the order in which they arrived and its numbers digit by digit, and the forms
//! in which programs write it. Pure.
//!
//! The rule: forms differ only in white space, in the order of keys and in escapes. All of them have the same value.

use std::fmt::{self, Write as _};

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

/// The keys of events, in the order in which the service writes them.
const PUBLISHED: [&str; 11] = [
    "event",
    "timestamp",
    "data",
    "document_id",
    "job_id",
    "tenant_id",
    "status",
    "processing_time_seconds",
    "page_count",
    "ir_version",
    "error_message",
];

/// Maximum depth of lists and objects; an event has two.
const MAX_DEPTH: usize = 64;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Json {
    Object(Vec<(String, Json)>),
    List(Vec<Json>),
    Text(String),
    /// A number, `true`, `false` or `null`, as it was written.
    Token(String),
}

/// One way to write a JSON value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Form {
    order: Order,
    layout: Layout,
    escapes: Escapes,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Order {
    /// As in the parsed text.
    Kept,
    /// As the service writes events. Unknown keys come last.
    Published,
    Sorted,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Layout {
    Compact,
    /// A space after each comma and colon, as Python does it.
    Spaced,
    Indented(usize),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Escapes {
    /// Only what JSON demands, and the two characters that SQS refuses.
    Few,
    /// All characters outside of ASCII.
    Ascii,
}

impl Form {
    /// For people.
    pub(crate) const INDENTED: Self =
        Self { order: Order::Kept, layout: Layout::Indented(2), escapes: Escapes::Few };

    /// The service's own white space and escapes.
    const COMPACT: Self =
        Self { order: Order::Kept, layout: Layout::Compact, escapes: Escapes::Few };

    /// Those that programs usually write, the service's own first.
    pub(crate) fn usual() -> impl Iterator<Item = Self> {
        let layouts = [Layout::Compact, Layout::Spaced, Layout::Indented(2), Layout::Indented(4)];
        layouts.into_iter().flat_map(|layout| {
            [Order::Kept, Order::Published, Order::Sorted].into_iter().flat_map(move |order| {
                [Escapes::Few, Escapes::Ascii].map(|escapes| Self { order, layout, escapes })
            })
        })
    }
}

impl fmt::Display for Form {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.layout {
            Layout::Compact => f.write_str("without white space")?,
            Layout::Spaced => f.write_str("with a space after each comma and colon")?,
            Layout::Indented(width) => write!(f, "indented by {width}")?,
        }
        f.write_str(match self.order {
            Order::Kept => "",
            Order::Published => ", keys in the published order",
            Order::Sorted => ", keys sorted",
        })?;
        f.write_str(match self.escapes {
            Escapes::Few => "",
            Escapes::Ascii => ", characters outside of ASCII escaped",
        })
    }
}

impl Json {
    /// `None` if `body` is not JSON or is nested too deeply.
    pub(crate) fn parse(body: &[u8]) -> Option<Self> {
        Self::of(serde_json::from_slice(body).ok()?, MAX_DEPTH)
    }

    fn of(raw: &RawValue, depth: usize) -> Option<Self> {
        let (text, depth) = (raw.get(), depth.checked_sub(1)?);
        match text.as_bytes().first()? {
            b'{' => {
                let Pairs(pairs) = serde_json::from_str(text).ok()?;
                let pair = |(key, value)| Some((key, Self::of(value, depth)?));
                pairs.into_iter().map(pair).collect::<Option<_>>().map(Self::Object)
            }
            b'[' => {
                let values: Vec<&RawValue> = serde_json::from_str(text).ok()?;
                let values = values.into_iter().map(|value| Self::of(value, depth));
                values.collect::<Option<_>>().map(Self::List)
            }
            b'"' => serde_json::from_str(text).ok().map(Self::Text),
            _ => Some(Self::Token(text.to_owned())),
        }
    }

    pub(crate) fn write(&self, form: Form) -> String {
        let mut text = String::new();
        self.write_to(&mut text, form, 0);
        text
    }

    fn write_to(&self, text: &mut String, form: Form, depth: usize) {
        match self {
            Self::Object(pairs) => {
                let mut pairs: Vec<&(String, Self)> = pairs.iter().collect();
                match form.order {
                    Order::Kept => {}
                    Order::Published => pairs.sort_by_key(|(key, _)| place(key)),
                    Order::Sorted => pairs.sort_by_key(|(key, _)| key),
                }
                list(text, form, depth, ('{', '}'), &pairs, |text, (key, value)| {
                    string(text, form, key);
                    text.push_str(if form.layout == Layout::Compact { ":" } else { ": " });
                    value.write_to(text, form, depth + 1);
                });
            }
            Self::List(values) => list(text, form, depth, ('[', ']'), values, |text, value| {
                value.write_to(text, form, depth + 1);
            }),
            Self::Text(value) => string(text, form, value),
            Self::Token(token) => text.push_str(token),
        }
    }

    /// Where `body`, of which this is the value, first differs from how the service writes events, as a number of bytes
    /// before it. `None` if it does not differ.
    pub(crate) fn difference(&self, body: &[u8]) -> Option<usize> {
        // Unknown keys may be anywhere: a newer service has more.
        let order = if self.is_in_order() { Order::Kept } else { Order::Published };
        let published = self.write(Form { order, ..Form::COMPACT }).into_bytes();
        let same = body.iter().zip(&published).take_while(|(a, b)| a == b).count();
        (body != published).then_some(same)
    }

    /// Whether the known keys are in the published order, everywhere.
    fn is_in_order(&self) -> bool {
        match self {
            Self::Object(pairs) => {
                let known = pairs.iter().map(|(key, _)| place(key));
                known.filter(|place| *place < PUBLISHED.len()).is_sorted()
                    && pairs.iter().all(|(_, value)| value.is_in_order())
            }
            Self::List(values) => values.iter().all(Self::is_in_order),
            Self::Text(_) | Self::Token(_) => true,
        }
    }
}

/// The place of a key in the published order.
fn place(key: &str) -> usize {
    PUBLISHED.iter().position(|known| *known == key).unwrap_or(PUBLISHED.len())
}

/// Writes the items of a list or of an object.
fn list<T>(
    text: &mut String,
    form: Form,
    depth: usize,
    (open, close): (char, char),
    items: &[T],
    mut write: impl FnMut(&mut String, &T),
) {
    let new_line = |text: &mut String, depth: usize| {
        if let Layout::Indented(width) = form.layout {
            text.push('\n');
            text.push_str(&" ".repeat(width * depth));
        }
    };
    text.push(open);
    for (number, item) in items.iter().enumerate() {
        if number > 0 {
            text.push_str(if form.layout == Layout::Spaced { ", " } else { "," });
        }
        new_line(text, depth + 1);
        write(text, item);
    }
    if !items.is_empty() {
        new_line(text, depth);
    }
    text.push(close);
}

fn string(text: &mut String, form: Form, value: &str) {
    let escaped = serde_json::Value::from(value).to_string();
    for c in escaped.chars() {
        let is_escaped =
            matches!(c, '\u{fffe}' | '\u{ffff}') || (form.escapes == Escapes::Ascii && c > '~');
        if is_escaped {
            for unit in c.encode_utf16(&mut [0; 2]) {
                write!(text, "\\u{unit:04x}").expect("a String takes any text");
            }
        } else {
            text.push(c);
        }
    }
}

/// The keys and values of an object, in their order.
struct Pairs<'a>(Vec<(String, &'a RawValue)>);

impl<'de> Deserialize<'de> for Pairs<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct InOrder;

        impl<'de> Visitor<'de> for InOrder {
            type Value = Pairs<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Pairs<'de>, A::Error> {
                let mut pairs = Vec::new();
                while let Some(pair) = map.next_entry()? {
                    pairs.push(pair);
                }
                Ok(Pairs(pairs))
            }
        }

        deserializer.deserialize_map(InOrder)
    }
}

#[cfg(test)]
mod tests;
