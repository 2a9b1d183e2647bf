//! The examples of docs/RECEIVING.md verify a real delivery.

#[path = "../receivers/verify.rs"]
#[expect(unreachable_pub, reason = "it is an example for other crates")]
mod verify;

use std::fs;
use std::io::{Write as _, stderr};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use harness::{Arrival, status};
use serde_json::{Map, Value, json};

use crate::support::job;
use crate::support::tenant::Tenant;

const DOCUMENT: &str = include_str!("../../docs/RECEIVING.md");

/// Calls each function with the cases that it reads, and writes a list of results.
const PYTHON: &str = r#"
import json, sys

def of(case):
    body, headers, secret = bytes.fromhex(case["body"]), case["headers"], case["secret"]
    return [is_genuine(body, headers.get("x-docintell-signature"), secret),
            is_genuine_and_recent(body, headers, secret)]

print(json.dumps([of(case) for case in json.load(sys.stdin)]))
"#;

/// The same for the only function of the Node example.
const NODE: &str = r#"
import { readFileSync } from "node:fs";

const of = ({ body, headers, secret }) =>
  [isGenuine(Buffer.from(body, "hex"), headers["x-docintell-signature"], secret)];
console.log(JSON.stringify(JSON.parse(readFileSync(0)).map(of)));
"#;

/// A request, what is wrong with it, and whether an example must accept it.
struct Case {
    name: &'static str,
    body: Vec<u8>,
    headers: Map<String, Value>,
    secret: String,
    is_genuine: bool,
}

impl Case {
    fn signature(&self) -> &str {
        self.headers.get("x-docintell-signature").and_then(Value::as_str).unwrap_or_default()
    }
}

/// The blocks of code in this language, in their order.
fn examples(language: &str) -> Vec<&'static str> {
    let start = format!("```{language}\n");
    let blocks = DOCUMENT.split(start.as_str()).skip(1);
    let code: Vec<&str> = blocks.filter_map(|it| it.split("```").next()).collect();
    assert!(!code.is_empty(), "no example in {language}");
    code
}

/// A real delivery, and what an example must not accept.
async fn cases() -> Vec<Case> {
    let (tenant, receiver, hook) = Tenant::subscribed(status(200)).await;
    let other = tenant.subscribe(&receiver).await;
    job::upload(tenant.id).await;
    // Both webhooks have the same receiver.
    let arrivals = receiver.wait_for(2).await;
    let signed = |arrival: &&Arrival| arrival.is_signed_with(&hook.secret);
    let arrival = arrivals.iter().find(signed).expect("one is signed with the first secret");
    let owned = |(name, value): (&str, &str)| (name.to_owned(), value.into());
    let headers: Map<String, Value> = arrival.headers().map(owned).collect();
    assert!(headers.keys().all(|name| *name == name.to_ascii_lowercase()), "{headers:?}");
    let case = |name, is_genuine| Case {
        name,
        body: arrival.body.to_vec(),
        headers: headers.clone(),
        secret: hook.secret.clone(),
        is_genuine,
    };
    let without = |name, removed: &[&str]| {
        let mut case = case(name, false);
        case.headers.retain(|header, _| !removed.contains(&header.as_str()));
        case
    };
    let with = |name, value: &str| {
        let mut case = case(name, false);
        for header in ["x-docintell-signature", "webhook-signature"] {
            case.headers.insert(header.to_owned(), value.into());
        }
        case
    };
    vec![
        case("the delivery", true),
        Case { body: [&arrival.body, &b"\n"[..]].concat(), ..case("a changed body", false) },
        Case { secret: other.secret, ..case("another webhook's secret", false) },
        without("no signature", &["x-docintell-signature", "webhook-signature"]),
        with("an empty signature", ""),
        with("a cut signature", "sha256=00"),
        with("a signature that is not ASCII", "sha256=é"),
    ]
}

/// Runs a program that reads the cases, and returns its results.
fn run(program: &Path, arguments: &[&str], cases: &[Case]) -> Vec<Value> {
    let cases: Vec<Value> = cases
        .iter()
        .map(|case| {
            let body = base16ct::lower::encode_string(&case.body);
            json!({"body": body, "headers": case.headers, "secret": case.secret})
        })
        .collect();
    let mut child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("the program can be started");
    let mut stdin = child.stdin.take().expect("it is piped");
    write!(stdin, "{}", Value::from(cases)).expect("the program reads");
    drop(stdin);
    let output = child.wait_with_output().expect("the program ends");
    let results: Value = serde_json::from_slice(&output.stdout).expect("the results are JSON");
    results.as_array().expect("the results are a list").clone()
}

/// Each function of an example gave the right result.
fn expect(cases: &[Case], results: &[Value], functions: usize) {
    assert_eq!(cases.len(), results.len());
    for (case, result) in cases.iter().zip(results) {
        assert_eq!(*result, json!(vec![case.is_genuine; functions]), "{}", case.name);
    }
}

/// A file of this test with an example.
fn file(name: &str, text: &str) -> PathBuf {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    fs::write(&path, text).expect("the file can be written");
    path
}

#[tokio::test]
async fn the_examples_in_python_node_and_rust_accept_a_real_delivery_and_nothing_else() {
    let cases = cases().await;
    for case in &cases {
        let accepted = verify::is_genuine(&case.body, case.signature(), &case.secret);
        assert_eq!(accepted, case.is_genuine, "Rust: {}", case.name);
    }

    let python = file("receiving.py", &[&examples("python").concat(), PYTHON].concat());
    let python = python.to_str().expect("the path is UTF-8");
    expect(&cases, &run(Path::new("python3"), &["-I", python], &cases), 2);

    if Command::new("node").arg("--version").output().is_err() {
        // Not with `eprintln`: cargo shows the output of failed tests only.
        let skipped = "SKIPPED: the Node example of docs/RECEIVING.md: node is not installed";
        writeln!(stderr(), "{skipped}").expect("standard error can be written");
        return;
    }
    let node = file("receiving.mjs", &[&examples("js").concat(), NODE].concat());
    let node = node.to_str().expect("the path is UTF-8");
    expect(&cases, &run(Path::new("node"), &[node], &cases), 1);
}

#[test]
fn the_rust_example_is_the_code_that_is_tested() {
    let (_, code) =
        include_str!("../receivers/verify.rs").split_once("\n\n").expect("it has a head");
    assert_eq!(examples("rust"), [code]);
}

#[test]
fn each_example_has_less_than_15_lines() {
    for language in ["python", "js", "rust", "go", "java", "php", "ruby"] {
        for code in examples(language) {
            assert!(code.lines().count() < 15, "{language}: {code}");
        }
    }
}
