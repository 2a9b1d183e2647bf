//! Items in DynamoDB's own JSON, in which every value is named by its type: `{"S":"text"}`.
//!
//! Written and read without the SDK's tree of hash maps, for the calls that go past the SDK.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt::Display;

use serde::de::value::{Error, MapDeserializer, SeqDeserializer};
use serde::de::{self, DeserializeOwned, Deserializer, IgnoredAny, IntoDeserializer, Visitor};
use serde::{Deserialize, Serialize, Serializer, forward_to_deserialize_any};

/// A string.
#[derive(Serialize)]
pub(super) struct S<T> {
    #[serde(rename = "S")]
    value: T,
}

/// A number, which goes as text.
#[derive(Serialize)]
pub(super) struct N<T: Display> {
    #[serde(rename = "N", serialize_with = "text")]
    value: T,
}

/// A list.
#[derive(Serialize)]
pub(super) struct L<T> {
    #[serde(rename = "L")]
    values: T,
}

/// A map, whose fields are values in turn.
#[derive(Serialize)]
pub(super) struct M<T> {
    #[serde(rename = "M")]
    fields: T,
}

pub(super) fn s<T>(value: T) -> S<T> {
    S { value }
}

pub(super) fn n<T: Display>(value: T) -> N<T> {
    N { value }
}

pub(super) fn l<T>(values: T) -> L<T> {
    L { values }
}

pub(super) fn m<T>(fields: T) -> M<T> {
    M { fields }
}

fn text<S: Serializer>(value: &impl Display, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(value)
}

/// An item that was read.
#[derive(Debug, Deserialize)]
pub(super) struct Item<'a>(#[serde(borrow)] BTreeMap<&'a str, Value<'a>>);

/// A value, of a type that is read or another.
#[derive(Debug, Deserialize)]
enum Value<'a> {
    S(#[serde(borrow)] Cow<'a, str>),
    N(&'a str),
    #[serde(rename = "BOOL")]
    Bool(bool),
    L(#[serde(borrow)] Vec<Value<'a>>),
    #[serde(rename = "M", alias = "NULL", alias = "B", alias = "SS", alias = "NS", alias = "BS")]
    Other(IgnoredAny),
}

impl Item<'_> {
    /// The string that an attribute is.
    pub(super) fn string(&self, name: &str) -> Option<&str> {
        match self.0.get(name)? {
            Value::S(text) => Some(text),
            _ => None,
        }
    }

    /// Reads the item as a row.
    pub(super) fn into_row<T: DeserializeOwned>(self) -> Result<T, Error> {
        T::deserialize(MapDeserializer::new(self.0.into_iter()))
    }
}

impl<'de> IntoDeserializer<'de> for Value<'de> {
    type Deserializer = Self;

    fn into_deserializer(self) -> Self {
        self
    }
}

impl<'de> Deserializer<'de> for Value<'de> {
    type Error = Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self {
            Value::S(text) => text.into_deserializer().deserialize_any(visitor),
            Value::N(text) => visitor.visit_i64(text.parse().map_err(de::Error::custom)?),
            Value::Bool(value) => visitor.visit_bool(value),
            Value::L(values) => visitor.visit_seq(SeqDeserializer::new(values.into_iter())),
            Value::Other(_) => Err(de::Error::custom("a value of a type that is not read here")),
        }
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        match self {
            Value::S(text) => text.into_deserializer().deserialize_enum(name, variants, visitor),
            _ => Err(de::Error::custom("not a string")),
        }
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_unit()
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit
        unit_struct newtype_struct seq tuple tuple_struct map struct identifier
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, PartialEq, Deserialize)]
    struct Row {
        name: String,
        count: u8,
        on: bool,
        colours: Vec<Colour>,
    }

    #[derive(Debug, PartialEq, Deserialize)]
    #[serde(rename_all = "lowercase")]
    enum Colour {
        Red,
        Blue,
    }

    fn read(json: &str) -> Result<Row, Error> {
        serde_json::from_str::<Item<'_>>(json).unwrap().into_row()
    }

    #[test]
    fn an_item_is_read_as_the_row_that_it_is() {
        let row = read(
            r#"{"name":{"S":"a \"b\""},"count":{"N":"3"},"on":{"BOOL":true},
                "colours":{"L":[{"S":"blue"},{"S":"red"}]},"more":{"SS":["x"]}}"#,
        );
        let colours = vec![Colour::Blue, Colour::Red];
        assert_eq!(row, Ok(Row { name: "a \"b\"".to_owned(), count: 3, on: true, colours }));
    }

    #[test]
    fn a_value_of_another_type_or_out_of_range_spoils_the_row_and_is_explained() {
        for (count, expected) in [
            (r#"{"S":"three"}"#, "invalid type"),
            (r#"{"N":"300"}"#, "invalid value"),
            (r#"{"N":"1.5"}"#, "invalid digit"),
            (r#"{"B":"AA=="}"#, "a type that is not read"),
        ] {
            let row = format!(
                r#"{{"name":{{"S":""}},"count":{count},"on":{{"BOOL":true}},"colours":{{"L":[]}}}}"#
            );
            let error = read(&row).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        }
    }

    #[test]
    fn a_value_is_written_under_its_type() {
        let value = m(BTreeMap::from([("list", l([n(1), n(-2)]))]));
        assert_eq!(
            serde_json::to_string(&value).unwrap(),
            r#"{"M":{"list":{"L":[{"N":"1"},{"N":"-2"}]}}}"#
        );
        assert_eq!(serde_json::to_string(&s("a\n")).unwrap(), r#"{"S":"a\n"}"#);
    }
}
