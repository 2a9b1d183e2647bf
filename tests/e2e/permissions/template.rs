//! `template.yaml` as JSON, with CloudFormation's short forms written out: `!Ref x` is `{"Ref": "x"}`.
//!
//! The rule: nothing is evaluated. A value here is what the template says, for any parameters.

use std::slice;

use saphyr::{LoadableYamlNode, Scalar, Yaml};
use serde_json::{Value, json};

const TEXT: &str = include_str!("../../../template.yaml");

/// The deployed architecture.
pub struct Template(Value);

impl Template {
    pub fn read() -> Self {
        let documents = Yaml::load_from_str(TEXT).expect("template.yaml is YAML");
        Self(to_json(&documents[0]))
    }

    /// A resource as the template has it: its properties, policies, metadata.
    pub fn resource(&self, name: &str) -> &Value {
        self.0["Resources"].get(name).unwrap_or_else(|| panic!("the template has no {name}"))
    }

    /// Each resource's name, type and value.
    pub fn resources(&self) -> impl Iterator<Item = (&str, &str, &Value)> {
        let resources = self.0["Resources"].as_object().expect("the template has resources");
        resources.iter().map(|(name, resource)| {
            (name.as_str(), resource["Type"].as_str().expect("a resource has a type"), resource)
        })
    }

    /// The names and values of the resources of one type.
    pub fn of_type(&self, wanted: &str) -> impl Iterator<Item = (&str, &Value)> {
        self.resources()
            .filter(move |(_, kind, _)| *kind == wanted)
            .map(|(name, _, resource)| (name, resource))
    }

    pub fn names_of_type(&self, wanted: &str) -> Vec<&str> {
        self.of_type(wanted).map(|(name, _)| name).collect()
    }
}

/// IAM takes a list of one without its brackets.
pub fn one_or_many(value: &Value) -> &[Value] {
    value.as_array().map_or(slice::from_ref(value), Vec::as_slice)
}

fn to_json(node: &Yaml) -> Value {
    match node {
        Yaml::Value(Scalar::Null) => Value::Null,
        Yaml::Value(Scalar::Boolean(value)) => json!(value),
        Yaml::Value(Scalar::Integer(value)) => json!(value),
        Yaml::Value(Scalar::FloatingPoint(value)) => json!(value.0),
        Yaml::Value(Scalar::String(value)) => json!(value),
        Yaml::Sequence(items) => items.iter().map(to_json).collect(),
        Yaml::Mapping(pairs) => {
            let key = |key: &Yaml| key.as_str().expect("a key is a string").to_owned();
            Value::Object(pairs.iter().map(|(name, value)| (key(name), to_json(value))).collect())
        }
        Yaml::Tagged(tag, inner) => {
            let name = match tag.suffix.as_str() {
                "Ref" => "Ref".to_owned(),
                function => format!("Fn::{function}"),
            };
            json!({name: to_json(inner)})
        }
        other => panic!("{other:?} is no value"),
    }
}
