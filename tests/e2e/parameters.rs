//! The parameters of the template.
//!
//! The rule: a value that a function cannot use is refused before anything is deployed. `patterns` compares what the
//! template accepts with what the functions accept. This file checks what the template does with the values.

mod patterns;

use std::collections::BTreeSet;

use serde_json::Value;

use crate::permissions::template::Template;

/// Lambda's limit for all variables of a function together, in bytes.
const MAX_ENVIRONMENT: usize = 4096;
/// Lambda's limit for a version's description.
const MAX_DESCRIPTION: usize = 256;
/// A bound for what is not a parameter: a table's name has at most 255 characters, and a queue's URL about 140.
const LONGEST_REFERENCE: usize = 255;

/// The properties of a function that are part of its versions.
const VERSIONED: [&str; 6] =
    ["Architectures", "Environment", "EphemeralStorage", "LoggingConfig", "MemorySize", "Timeout"];

#[test]
fn a_changed_parameter_makes_a_new_version_of_every_function_that_uses_it() {
    let template = Template::read();
    let parameters: BTreeSet<&str> = template.parameters().map(|(name, _)| name).collect();
    let globals = template.part("/Globals/Function");
    for (function, resource) in template.of_type("AWS::Serverless::Function") {
        let properties = &resource["Properties"];
        let used = VERSIONED
            .iter()
            .flat_map(|name| names(&globals[*name]).into_iter().chain(names(&properties[*name])));
        let used: BTreeSet<&str> = used.filter(|name| parameters.contains(name)).collect();
        let description = &properties["VersionDescription"];
        let listed: BTreeSet<&str> = names(description).into_iter().collect();
        // A description that changes without its function would fail the deployment.
        assert_eq!(listed, used, "{function}");
        let text = description["Fn::Sub"].as_str().expect("the description is a text");
        let longest = listed.iter().map(|name| longest(&template, name)).sum::<usize>();
        let names = listed.iter().map(|name| "${}".len() + name.len()).sum::<usize>();
        assert!(text.len() - names + longest <= MAX_DESCRIPTION, "{function}");
    }
}

#[test]
fn a_parameter_has_the_name_of_its_variable() {
    let template = Template::read();
    for (function, resource) in template.of_type("AWS::Serverless::Function") {
        for (variable, value) in variables(resource) {
            let Some(parameter) = value["Ref"].as_str() else { continue };
            if template.parameters().any(|(name, _)| name == parameter) {
                assert_eq!(variable.replace('_', ""), parameter.to_uppercase(), "{function}");
            }
        }
    }
}

#[test]
fn the_longest_values_fit_into_the_environment() {
    let template = Template::read();
    for (function, resource) in template.of_type("AWS::Serverless::Function") {
        let length = |(variable, value): (&str, &Value)| {
            let names = names(value).into_iter();
            let values = names.map(|name| longest(&template, name)).max();
            variable.len() + values.unwrap_or(LONGEST_REFERENCE)
        };
        let total: usize = variables(resource).map(length).sum();
        assert!(total <= MAX_ENVIRONMENT, "{function} can have {total} bytes");
    }
}

#[test]
fn everything_invokes_a_function_through_the_alias_that_a_deployment_moves() {
    let template = Template::read();
    let alias = template.part("/Globals/Function/AutoPublishAlias").as_str().expect("it is text");
    assert_eq!(template.part("/Outputs/FunctionAlias/Value"), alias);
    let sender = template.part("/Resources/ApiFunction/Properties/Environment/Variables");
    assert_eq!(sender["SENDER_FUNCTION_NAME"]["Fn::Sub"], format!("${{SenderFunction}}:{alias}"));
    for (function, resource) in template.of_type("AWS::Serverless::Function") {
        let properties = &resource["Properties"];
        assert!(properties.get("AutoPublishAlias").is_none(), "{function} has another alias");
        let alarms = properties["DeploymentPreference"]["Alarms"]["Fn::If"][1].as_array();
        let alarms = alarms.expect("a deployment watches alarms");
        // CodeDeploy's limit is ten.
        assert!((1..=10).contains(&alarms.len()), "{function}");
        for alarm in alarms {
            let name = alarm["Ref"].as_str().expect("an alarm is a resource");
            let kind = template.resource(name)["Type"].as_str().expect("a resource has a type");
            assert!(kind.starts_with("AWS::CloudWatch::"), "{name}");
        }
    }
}

fn variables(function: &Value) -> impl Iterator<Item = (&str, &Value)> {
    let variables = function["Properties"]["Environment"]["Variables"].as_object();
    let variables = variables.expect("a function has variables");
    variables.iter().map(|(name, value)| (name.as_str(), value))
}

/// The names in `!Ref` and `!Sub`, at any depth.
fn names(value: &Value) -> Vec<&str> {
    match value {
        Value::Array(items) => items.iter().flat_map(names).collect(),
        Value::Object(fields) => fields
            .iter()
            .flat_map(|(key, value)| match (key.as_str(), value.as_str()) {
                ("Ref", Some(name)) => vec![name],
                ("Fn::Sub", Some(text)) => {
                    text.split("${").skip(1).filter_map(|it| Some(it.split_once('}')?.0)).collect()
                }
                _ => names(value),
            })
            .collect(),
        _ => Vec::new(),
    }
}

/// The length of the longest value that a parameter, or another name, can have.
fn longest(template: &Template, name: &str) -> usize {
    let Some((_, parameter)) = template.parameters().find(|(it, _)| *it == name) else {
        return LONGEST_REFERENCE;
    };
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string().len(), str::len);
    if let Some(values) = parameter["AllowedValues"].as_array() {
        return values.iter().map(text).max().expect("there is a value");
    }
    let length = parameter["MaxLength"].as_u64().and_then(|length| length.try_into().ok());
    length.unwrap_or_else(|| text(&parameter["MaxValue"]))
}
