//! The functions' permissions, in `template.yaml` and in `docs/PERMISSIONS.md`.
//!
//! The two agree on every action, and some permissions are never granted. [`data`] tests how the template
//! protects stored data.

mod data;
pub(crate) mod documents;
pub(crate) mod template;

use std::collections::BTreeSet;
use std::fmt;

use serde_json::{Value, json};

use documents::Table;
use template::{Template, one_or_many};

/// One action that one function may do on one resource.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Permission {
    function: String,
    action: String,
    resource: String,
}

impl Permission {
    fn new(function: &str, action: &str, resource: String) -> Self {
        Self { function: function.to_owned(), action: action.to_owned(), resource }
    }
}

impl fmt::Display for Permission {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} on {}", self.function, self.action, self.resource)
    }
}

#[test]
fn permissions_md_lists_exactly_the_granted_permissions() {
    let (granted, listed) = (granted(), listed());
    let without = |all: &BTreeSet<Permission>, others: &BTreeSet<Permission>| -> Vec<String> {
        all.difference(others).map(Permission::to_string).collect()
    };
    assert_eq!(without(&granted, &listed), [""; 0], "granted but not in docs/PERMISSIONS.md");
    assert_eq!(without(&listed, &granted), [""; 0], "in docs/PERMISSIONS.md but not granted");
    assert!(granted.len() > 20, "the template was not understood: {granted:?}");
}

#[test]
fn only_list_streams_is_granted_on_every_resource() {
    for permission in granted() {
        assert!(!permission.action.contains(['*', '?']), "{permission}");
        let is_specific = match permission.resource.as_str() {
            "*" => permission.action == "dynamodb:ListStreams",
            // Only signing secrets have names under the prefix.
            "secret:${Prefix}/*" => permission.action.starts_with("secretsmanager:"),
            other => !other.contains(['*', '?']),
        };
        assert!(is_specific, "{permission}");
    }
}

#[test]
fn fanout_may_use_only_dynamodb_logs_and_sqs() {
    assert_eq!(
        services_of("fanout"),
        BTreeSet::from(["dynamodb", "logs", "sqs"].map(str::to_owned))
    );
}

#[test]
fn fanout_can_only_put_rows_into_the_delivery_log() {
    assert_eq!(actions("fanout", "DeliveriesTable"), ["dynamodb:PutItem".to_owned()].into());
}

#[test]
fn the_api_can_write_secrets_but_not_read_them() {
    let secrets = actions("api", "secret:${Prefix}/*");
    let writes = ["CreateSecret", "DeleteSecret", "PutSecretValue"];
    assert_eq!(secrets, writes.map(|name| format!("secretsmanager:{name}")).into());
}

#[test]
fn only_the_api_may_invoke_a_function_and_only_the_sender() {
    let invoke = granted().into_iter().filter(|it| it.action.starts_with("lambda:"));
    let expected =
        Permission::new("api", "lambda:InvokeFunction", "SenderFunction:live".to_owned());
    assert_eq!(invoke.collect::<Vec<_>>(), [expected]);
}

#[test]
fn the_sender_can_read_and_update_webhooks_and_only_read_secrets() {
    let webhooks = ["BatchGetItem", "UpdateItem"].map(|name| format!("dynamodb:{name}"));
    assert_eq!(actions("sender", "WebhooksTable"), webhooks.into());
    let secrets = ["secretsmanager:GetSecretValue".to_owned()];
    assert_eq!(actions("sender", "secret:${Prefix}/*"), secrets.into());
}

#[test]
fn functions_only_add_to_the_history_and_only_the_api_reads_it() {
    let [query, put] = ["Query", "PutItem"].map(|name| format!("dynamodb:{name}"));
    assert_eq!(actions("api", "WebhookAuditTable"), [query, put.clone()].into());
    assert_eq!(actions("sender", "WebhookAuditTable"), [put].into());
    for function in ["fanout", "replay"] {
        assert!(actions(function, "WebhookAuditTable").is_empty(), "{function}");
    }
}

#[test]
fn a_function_can_access_only_secrets_under_its_prefix() {
    let template = Template::read();
    let mut with_secrets = BTreeSet::new();
    for (name, function, role) in functions(&template) {
        let resources = statements(role).flat_map(|it| one_or_many(&it["Resource"]));
        for resource in resources.filter(|it| it["Fn::Sub"].is_array()) {
            let used = &function["Environment"]["Variables"]["SECRETS_PREFIX"];
            assert_eq!(resource["Fn::Sub"][1], json!({"Prefix": used}), "{name}");
            with_secrets.insert(name);
        }
    }
    assert_eq!(with_secrets, BTreeSet::from(["api", "sender"]));
}

#[test]
fn each_function_has_its_own_role_and_no_other_permissions() {
    let template = Template::read();
    let lambda = json!([{
        "Effect": "Allow",
        "Principal": {"Service": "lambda.amazonaws.com"},
        "Action": "sts:AssumeRole",
    }]);
    let mut roles = BTreeSet::new();
    for (name, function, role) in functions(&template) {
        assert!(roles.insert(function["Role"].to_string()), "{name} shares its role");
        // SAM silently ignores `Policies` on a function that has a `Role`.
        assert!(function.get("Policies").is_none(), "{name}");
        assert_eq!(keys(role), ["AssumeRolePolicyDocument", "Policies"], "{name}");
        assert_eq!(role["AssumeRolePolicyDocument"]["Statement"], lambda, "{name}");
        for statement in statements(role) {
            assert_eq!(statement["Effect"], "Allow", "{name}");
            assert_eq!(keys(statement), ["Action", "Effect", "Resource", "Sid"], "{name}");
        }
    }
    // No other IAM resource grants permissions.
    let iam = template.resources().filter(|(_, kind, _)| kind.starts_with("AWS::IAM::"));
    assert_eq!(iam.count(), roles.len());
}

/// The permissions that the template's roles grant.
fn granted() -> BTreeSet<Permission> {
    let template = Template::read();
    let mut granted = BTreeSet::new();
    for (function, _, role) in functions(&template) {
        for statement in statements(role) {
            for resource in one_or_many(&statement["Resource"]).iter().flat_map(names) {
                for action in one_or_many(&statement["Action"]) {
                    let action = action.as_str().expect("an action is a string");
                    granted.insert(Permission::new(function, action, resource.clone()));
                }
            }
        }
    }
    granted
}

/// The permissions that `docs/PERMISSIONS.md` lists.
fn listed() -> BTreeSet<Permission> {
    let mut listed = BTreeSet::new();
    for row in Table::read("function").rows {
        let [function, actions, resources, reason] = row.as_slice() else { panic!("{row:?}") };
        assert!(!reason.text.is_empty(), "{row:?} gives no reason");
        for resource in &resources.code {
            for action in &actions.code {
                let permission = Permission::new(&function.text, action, resource.clone());
                assert!(listed.insert(permission.clone()), "{permission} is listed twice");
            }
        }
    }
    listed
}

fn actions(function: &str, resource: &str) -> BTreeSet<String> {
    let matches = |it: &Permission| it.function == function && it.resource == resource;
    granted().into_iter().filter(matches).map(|it| it.action).collect()
}

fn services_of(function: &str) -> BTreeSet<String> {
    let service = |action: &str| action.split(':').next().map(str::to_owned);
    let permissions = granted().into_iter().filter(|it| it.function == function);
    permissions.filter_map(|it| service(&it.action)).collect()
}

/// The binary, the properties and the role's properties of each function.
fn functions(template: &Template) -> impl Iterator<Item = (&str, &Value, &Value)> {
    template.of_type("AWS::Serverless::Function").map(|(name, resource)| {
        let function = &resource["Properties"];
        let role = function["Role"]["Fn::GetAtt"].as_str().expect("the template defines the role");
        let role = role.strip_suffix(".Arn").expect("a role is referenced by its ARN");
        let binary = resource["Metadata"]["BuildProperties"]["Binary"].as_str();
        (binary.unwrap_or(name), function, &template.resource(role)["Properties"])
    })
}

fn statements(role: &Value) -> impl Iterator<Item = &Value> {
    let policies = role["Policies"].as_array().expect("a role has policies");
    policies.iter().flat_map(|policy| {
        policy["PolicyDocument"]["Statement"].as_array().expect("a policy has statements")
    })
}

/// The resource's name as `docs/PERMISSIONS.md` writes it; both names if a condition chooses.
fn names(resource: &Value) -> Vec<String> {
    if let Some(name) = resource.as_str().or(resource["Ref"].as_str()) {
        return vec![name.to_owned()];
    }
    if let Some(attribute) = resource["Fn::GetAtt"].as_str() {
        return vec![attribute.strip_suffix(".Arn").unwrap_or(attribute).to_owned()];
    }
    if let Some([_condition, one, other]) = resource["Fn::If"].as_array().map(Vec::as_slice) {
        return [names(one), names(other)].concat();
    }
    let arn = resource["Fn::Sub"].as_str().or(resource["Fn::Sub"][0].as_str());
    let arn = arn.expect("the resource has a known form");
    // A part of a resource, such as `${Table.Arn}/index/name`.
    if let Some((name, part)) = arn.strip_prefix("${").and_then(|arn| arn.split_once(".Arn}")) {
        return vec![format!("{name}{part}")];
    }
    let in_account = |service: &str| {
        let account =
            format!("arn:${{AWS::Partition}}:{service}:${{AWS::Region}}:${{AWS::AccountId}}:");
        arn.strip_prefix(&account).map(str::to_owned)
    };
    let name = in_account("secretsmanager").or_else(|| in_account("events"));
    vec![name.expect("the resource is in this account")]
}

fn keys(value: &Value) -> Vec<&str> {
    let mut keys: Vec<&str> =
        value.as_object().expect("an object").keys().map(String::as_str).collect();
    keys.sort_unstable();
    keys
}
