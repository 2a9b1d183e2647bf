//! The runbook (`docs/OPERATIONS.md`, `docs/RECOVERY.md`) matches `template.yaml`.

use serde_json::Value;
use webhooks::metrics::Metric;

use crate::permissions::template::Template;

const PAGES: [&str; 2] =
    [include_str!("../../docs/OPERATIONS.md"), include_str!("../../docs/RECOVERY.md")];

/// A name in code style that ends like this is that of a resource, a parameter or an output.
const KINDS: [&str; 10] =
    ["Alarm", "Alarms", "Api", "Function", "Key", "Logs", "Policy", "Queue", "Role", "Table"];
/// Names of AWS that are neither in the template nor in one of its properties.
const OF_AWS: [&str; 7] = [
    "AccessDenied",
    "AccessDeniedException",
    "ForceDeleteWithoutRecovery",
    "LastProcessingResult",
    "LatestStreamArn",
    "WriteAccountLimitThrottleEvents",
    "WriteKeyRangeThroughputThrottleEvents",
];

/// The names in code style, of a path such as `SenderFunction.Timeout` the first, and those that shell commands look up.
fn names(page: &str) -> impl Iterator<Item = &str> {
    // Every second part is a block, and outside of blocks every second part is in code style.
    let text = page.split("```").step_by(2);
    let code = text.flat_map(|text| text.split('`').skip(1).step_by(2));
    let blocks = page.split("```").skip(1).step_by(2);
    let looked_up = blocks.flat_map(|block| {
        ["$(output ", "$(resource "].into_iter().flat_map(|call| block.split(call).skip(1))
    });
    let names = code.chain(looked_up).filter_map(|name| name.split(['.', ')']).next());
    names.filter(|name| is_camel_case(name))
}

/// True for two words or more, such as `WebhooksTable`.
fn is_camel_case(name: &str) -> bool {
    let starts_upper = name.starts_with(|char: char| char.is_ascii_uppercase());
    let humps = name.chars().zip(name.chars().skip(1));
    let later = humps.filter(|(one, next)| one.is_ascii_lowercase() && next.is_ascii_uppercase());
    starts_upper && name.chars().all(|char| char.is_ascii_alphanumeric()) && later.count() > 0
}

#[test]
fn the_runbook_names_only_what_the_template_has() {
    let template = Template::read();
    let source = include_str!("../../template.yaml");
    let words: Vec<&str> = source.split(|char: char| !char.is_ascii_alphanumeric()).collect();
    let exists = |name: &str| {
        let is_definition = KINDS.iter().any(|kind| name.ends_with(kind));
        let is_metric = || Metric::from_name(name).is_some();
        template.defines(name)
            || (!is_definition && (words.contains(&name) || OF_AWS.contains(&name) || is_metric()))
    };
    let all: Vec<&str> = PAGES.into_iter().flat_map(names).collect();
    let unknown: Vec<&&str> = all.iter().filter(|name| !exists(name)).collect();
    assert!(unknown.is_empty(), "the template has no {unknown:?}");
    assert!(all.len() > 50, "the runbook was not understood: {all:?}");
}

#[test]
fn the_settings_that_the_runbook_computes_with_are_those_of_the_template() {
    let (_, table) =
        PAGES[0].split_once("| setting of the template | value |\n|---|---|\n").expect("a table");
    let rows: Vec<&str> = table.lines().take_while(|line| line.starts_with('|')).collect();
    for row in &rows {
        let [setting, value] = row.trim_matches('|').split('|').collect::<Vec<_>>()[..] else {
            panic!("{row} has not two columns")
        };
        let setting = setting.trim().trim_matches('`');
        let in_template = setting_of(setting);
        let in_template =
            in_template.as_str().map_or_else(|| in_template.to_string(), str::to_owned);
        assert_eq!(in_template, value.trim(), "{setting}");
    }
    assert!(rows.len() > 5, "the table was not understood: {rows:?}");
}

/// The value of a parameter, or of a resource's property, such as `DeliveryQueue.VisibilityTimeout`.
fn setting_of(path: &str) -> Value {
    let template = Template::read();
    let Some((resource, properties)) = path.split_once('.') else {
        return template.default_of(path).clone();
    };
    let mut value = template.resource(resource);
    for name in properties.split('.') {
        value = value["Properties"].get(name).or(value.get(name)).expect("the property exists");
    }
    value["Ref"].as_str().map_or(value, |parameter| template.default_of(parameter)).clone()
}

#[test]
fn each_deployment_in_the_documents_names_its_environment() {
    let documents = [include_str!("../../README.md"), PAGES[0], PAGES[1]];
    let lines: Vec<&str> = documents.iter().flat_map(|page| page.lines()).collect();
    let deployments = lines.iter().filter(|line| line.contains("sam deploy --"));
    let nameless: Vec<_> =
        deployments.clone().filter(|line| !line.contains("--config-env")).collect();
    assert!(nameless.is_empty(), "without a stack's name: {nameless:?}");
    assert!(deployments.count() > 5, "the deployments were not found");
}
