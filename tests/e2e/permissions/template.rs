//! `template.yaml` as JSON, with CloudFormation's short forms expanded: `!Ref x` becomes `{"Ref": "x"}`.
//!
//! Nothing is evaluated: parameters and conditions stay as they are written.

use std::process::{Command, Stdio};
use std::slice;
use std::sync::LazyLock;

use docintell::checkout::Checkout;
use docintell::local::python;
use docintell::progress::Progress;
use serde_json::Value;
use tokio::runtime;

/// SAM's own parser, which the local stack uses too.
const READ: &str = "import json, sys; from samtranslator.yaml_helper import yaml_parse; \
    print(json.dumps(yaml_parse(sys.stdin)))";

static TEMPLATE: LazyLock<Value> = LazyLock::new(|| {
    let checkout = Checkout::find().expect("tests run in a checkout");
    let runtime = runtime::Builder::new_current_thread().enable_all().build();
    let python = python::ensure(&checkout, Progress::Shown);
    let python = runtime.expect("a runtime can be built").block_on(python);
    let file = std::fs::File::open(checkout.template()).expect("the template can be opened");
    let output = Command::new(python.expect("the Python environment can be set up"))
        .args(["-c", READ])
        .stdin(file)
        .stderr(Stdio::inherit())
        .output()
        .expect("Python can be started");
    let mut template = serde_json::from_slice(&output.stdout).expect("template.yaml is YAML");
    join_attributes(&mut template);
    template
});

/// The parsed template.
pub(crate) struct Template(&'static Value);

impl Template {
    pub(crate) fn read() -> Self {
        Self(&TEMPLATE)
    }

    pub(crate) fn value(&self) -> &'static Value {
        self.0
    }

    /// The resource's type, properties and metadata.
    pub(crate) fn resource(&self, name: &str) -> &Value {
        self.0["Resources"].get(name).unwrap_or_else(|| panic!("the template has no {name}"))
    }

    /// True for the name of a resource, a parameter or an output.
    pub(crate) fn defines(&self, name: &str) -> bool {
        ["Resources", "Parameters", "Outputs"].iter().any(|part| self.0[part].get(name).is_some())
            || self.has_event_source(name)
    }

    /// True for a resource that SAM makes: the function's name, followed by that of its event.
    fn has_event_source(&self, name: &str) -> bool {
        self.of_type("AWS::Serverless::Function").any(|(function, resource)| {
            let event = name.strip_prefix(function);
            event.is_some_and(|event| resource["Properties"]["Events"].get(event).is_some())
        })
    }

    /// The names and definitions of all parameters.
    pub(crate) fn parameters(&self) -> impl Iterator<Item = (&str, &Value)> {
        let parameters = self.0["Parameters"].as_object().expect("the template has parameters");
        parameters.iter().map(|(name, parameter)| (name.as_str(), parameter))
    }

    /// A part of the template, such as `/Globals/Function`.
    pub(crate) fn part(&self, pointer: &str) -> &'static Value {
        self.0.pointer(pointer).unwrap_or_else(|| panic!("the template has no {pointer}"))
    }

    /// The default of a parameter.
    pub(crate) fn default_of(&self, parameter: &str) -> &'static Value {
        let default = &self.0["Parameters"][parameter]["Default"];
        assert!(!default.is_null(), "the template has no default of {parameter}");
        default
    }

    /// The name, type and definition of each resource.
    pub(crate) fn resources(&self) -> impl Iterator<Item = (&str, &str, &Value)> {
        let resources = self.0["Resources"].as_object().expect("the template has resources");
        resources.iter().map(|(name, resource)| {
            (name.as_str(), resource["Type"].as_str().expect("a resource has a type"), resource)
        })
    }

    /// The name and definition of each resource of this type.
    pub(crate) fn of_type(&self, wanted: &str) -> impl Iterator<Item = (&str, &Value)> {
        self.resources()
            .filter(move |(_, kind, _)| *kind == wanted)
            .map(|(name, _, resource)| (name, resource))
    }

    pub(crate) fn names_of_type(&self, wanted: &str) -> Vec<&str> {
        self.of_type(wanted).map(|(name, _)| name).collect()
    }
}

/// The values of a list. IAM accepts a single value in place of a list.
pub(crate) fn one_or_many(value: &Value) -> &[Value] {
    value.as_array().map_or(slice::from_ref(value), Vec::as_slice)
}

/// Joins `["Table", "Arn"]`, SAM's form of `!GetAtt Table.Arn`, into `Table.Arn`.
fn join_attributes(value: &mut Value) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(join_attributes),
        Value::Object(fields) => {
            for (name, value) in fields {
                match value.as_array().filter(|_| name == "Fn::GetAtt") {
                    Some(parts) => {
                        let parts: Vec<_> = parts.iter().filter_map(Value::as_str).collect();
                        *value = parts.join(".").into();
                    }
                    None => join_attributes(value),
                }
            }
        }
        _ => {}
    }
}
