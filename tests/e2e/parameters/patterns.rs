//! What the template's patterns accept, the functions accept, and what they refuse, the functions refuse.

use std::net::{Ipv4Addr, Ipv6Addr};

use proptest::prelude::*;
use regex_lite::Regex;
use sender::RetriedClientErrors;
use serde_json::Value;
use webhooks::env::allowed_networks;

use crate::permissions::template::Template;

/// The values that a parameter accepts. `CloudFormation` matches the whole value.
struct Accepted {
    pattern: Regex,
    max_length: usize,
}

impl Accepted {
    fn of(parameter: &str) -> Self {
        let definition = Template::read().part(&format!("/Parameters/{parameter}"));
        Self::by(definition).unwrap_or_else(|| panic!("{parameter} has no pattern or length"))
    }

    fn by(definition: &Value) -> Option<Self> {
        let pattern = definition["AllowedPattern"].as_str()?;
        assert!(pattern.starts_with('^') && pattern.ends_with('$'), "{pattern}");
        let max_length = definition["MaxLength"].as_u64()?.try_into().ok()?;
        Some(Self { pattern: Regex::new(pattern).ok()?, max_length })
    }

    fn contains(&self, value: &str) -> bool {
        value.chars().count() <= self.max_length && self.pattern.is_match(value)
    }
}

const STREAM: &str =
    "arn:aws:dynamodb:eu-central-1:123456789012:table/Jobs/stream/2025-12-03T10:30:00.000";

/// For each parameter with a pattern, but for numbers: values that it accepts, and values that it refuses.
const CASES: [(&str, &[&str], &[&str]); 7] = [
    (
        "JobsStreamArn",
        &["", STREAM, "arn:aws-us-gov:dynamodb:us-gov-west-1:123456789012:table/a.b/stream/2025"],
        &[
            "Jobs",
            "arn:aws:dynamodb:eu-central-1:123456789012:table/Jobs",
            "arn:aws:dynamodb:eu-central-1:123:table/Jobs/stream/2025",
            "arn:aws:kinesis:eu-central-1:123456789012:table/Jobs/stream/2025",
            "arn:aws:dynamodb:eu-central-1:123456789012:table/Jobs/stream/2025 ",
            "arn:aws:dynamodb:eu-central-1:123456789012:table/Jobs/stream/*",
        ],
    ),
    (
        "SecretsPrefix",
        &["", "docintell", "teams/docintell+1=a_b.c@d-e"],
        &["docintell/", "doc intell", "docintell*", "docintell:a", "dökument", "a\n"],
    ),
    (
        "RetriedClientErrors",
        &["", "429", "408,425,429"],
        &["410", "429,", ",429", "408, 429", "4xx"],
    ),
    (
        "AllowedNetworks",
        &[
            "",
            "10.0.0.0/8",
            "127.0.0.0/8,::1/128",
            "0.0.0.0/0,::/0",
            "172.16.0.0/12,fd00::/8,2001:db8:1:2:3:4:5:6/128",
        ],
        &[
            "10.0.0.0",
            "10.0.0.0/33",
            "10.0.0.0/-1",
            "10.0.0/8",
            "10.0.0.0.0/8",
            "999.1.1.1/8",
            "256.0.0.0/8",
            "10.0.0.0/8;10.0.0.0/8",
            "10.0.0.0/810.0.0.0/8",
            "::/129",
            "::1",
            "fd00:::/8",
            "fd00::1::/8",
            "fd000::/8",
            "g::/8",
            "1:2:3:4:5:6:7/64",
            "1:2:3:4:5:6:7:8:9/64",
            "1:2:3:4:5:6:7:8::/64",
            "example.com/8",
        ],
    ),
    (
        "ExtraCaFile",
        &["", "/var/task/authorities.pem", "/opt/ca-1_a.crt"],
        &[
            "authorities.pem",
            "/var/task/",
            "/var//task",
            "/var/task/a b.pem",
            "s3://a/b",
            "/\u{e4}",
        ],
    ),
    (
        "TenantAlarmEmail",
        &["", "on-call+docintell@example.com", "o'neill@mail.example.co.uk"],
        &["on-call", "a@b", "a@b@example.com", "a b@example.com", "a@example.com,b@example.com"],
    ),
    ("OperatorAlarmEmail", &["", "a@example.com"], &["@example.com", "a@.com", "a@example.com\n"]),
];

/// The numbers that the functions read, with their least and greatest value.
const NUMBERS: [(&str, u32, u32); 8] = [
    ("MaxWebhooksPerTenant", 1, 1000),
    ("ChangesPerMinute", 1, 1_000_000),
    ("AuditDays", 1, 3650),
    ("DeliveryLogDays", 1, 3650),
    ("DisableAfterDays", 1, 365),
    ("SkippedEventDays", 0, 3650),
    ("ReplayRate", 1, 1000),
    ("MaxReplayRate", 1, 1000),
];

#[test]
fn each_free_text_has_a_tested_pattern_a_length_a_sentence_and_a_default_that_it_accepts() {
    let tested = |name: &str| {
        CASES.iter().any(|(it, ..)| *it == name) || NUMBERS.iter().any(|(it, ..)| *it == name)
    };
    for (name, definition) in Template::read().parameters() {
        if definition["Type"] != "String" || definition.get("AllowedValues").is_some() {
            continue;
        }
        let default = definition["Default"].as_str().expect("a text has a default");
        assert!(Accepted::of(name).contains(default), "{name}");
        // CloudFormation puts the sentence after the parameter's name.
        let sentence = definition["ConstraintDescription"].as_str().unwrap_or_default();
        assert!(sentence.starts_with("must "), "{name}");
        assert!(tested(name), "{name}");
    }
}

#[test]
fn a_pattern_accepts_what_is_right_and_refuses_what_is_wrong() {
    for (name, right, wrong) in CASES {
        let accepted = Accepted::of(name);
        for value in right {
            assert!(accepted.contains(value), "{name} refuses `{value}`");
        }
        for value in wrong {
            assert!(!accepted.contains(value), "{name} accepts `{value}`");
        }
    }
}

#[test]
fn samconfig_sets_only_parameters_and_values_that_the_template_accepts() {
    let samconfig = include_str!("../../../samconfig.toml");
    for environment in ["local", "staging", "production"] {
        assert!(
            samconfig.contains(&format!("\n[{environment}.deploy.parameters]\n")),
            "{environment}"
        );
    }
    let lists = samconfig.split("parameter_overrides = [").skip(1);
    let settings = lists.filter_map(|list| Some(list.split_once(']')?.0)).flat_map(str::lines);
    let settings = settings.map(|line| line.trim().trim_matches(|it| it == '"' || it == ','));
    for setting in settings.filter(|setting| !setting.is_empty()) {
        let (name, value) = setting.split_once('=').expect("a setting has a value");
        let definition = Template::read().part(&format!("/Parameters/{name}"));
        let is_accepted = match definition["AllowedValues"].as_array() {
            // A number in the list is compared as a number.
            Some(values) => {
                let number = value.parse::<u64>().ok();
                values.iter().any(|it| it == value || number.is_some() && it.as_u64() == number)
            }
            None => Accepted::of(name).contains(value),
        };
        assert!(is_accepted, "{setting}");
    }
}

#[test]
fn a_function_reads_what_the_pattern_of_a_list_accepts_and_nothing_else() {
    for (name, right, wrong) in CASES {
        let reads: fn(&str) -> bool = match name {
            "RetriedClientErrors" => |value| value.parse::<RetriedClientErrors>().is_ok(),
            "AllowedNetworks" => |value| allowed_networks(value).is_ok(),
            _ => continue,
        };
        assert!(right.iter().all(|value| reads(value)), "{name}");
        for value in wrong {
            assert!(!reads(value), "{name}: the function reads `{value}`");
        }
    }
}

#[test]
fn a_network_with_a_leading_zero_is_refused_because_some_programs_read_it_as_octal() {
    assert!(!Accepted::of("AllowedNetworks").contains("010.0.0.0/8"));
}

#[test]
fn a_number_is_accepted_exactly_within_its_range() {
    for (name, min, max) in NUMBERS {
        let accepted = Accepted::of(name);
        for number in (0..=4000).chain(max - 2..=max + 2).chain([10 * max, u32::MAX]) {
            let is_within = (min..=max).contains(&number);
            assert_eq!(accepted.contains(&number.to_string()), is_within, "{name}: {number}");
        }
        for text in ["", "1.5", "1e2", "-1", "+1", " 1", "1 ", "007", "0x1", "٣"] {
            assert!(!accepted.contains(text), "{name} accepts `{text}`");
        }
    }
}

/// Networks that may be wrong: too long prefixes, too many or too few groups.
fn network() -> impl Strategy<Value = String> {
    let octet = prop_oneof![4 => 0..256_u32, 1 => 0..1000_u32].prop_map(|it| it.to_string());
    let v4 = prop::collection::vec(octet, 3..=5).prop_map(|octets| octets.join("."));
    let group = (0..=0x1ffff_u32).prop_map(|it| format!("{it:x}"));
    let v6 = (prop::collection::vec(group, 0..=9), 0..=9_usize).prop_map(|(groups, at)| {
        let (head, tail) = groups.split_at(at.min(groups.len()));
        if at == 9 { groups.join(":") } else { [head.join(":"), tail.join(":")].join("::") }
    });
    let right = prop_oneof![
        any::<u32>().prop_map(|bits| Ipv4Addr::from_bits(bits).to_string()),
        (any::<u128>(), 0..128_u32)
            .prop_map(|(bits, shift)| Ipv6Addr::from_bits(bits >> shift << shift).to_string())
            // The functions also read the dotted form of a network that contains IPv4. Nobody needs it.
            .prop_filter("dotted", |text| !text.contains('.')),
    ];
    (prop_oneof![v4, v6, right], 0..=140_u32)
        .prop_map(|(address, length)| format!("{address}/{length}"))
}

proptest! {
    #[test]
    fn the_pattern_and_the_functions_accept_the_same_networks(network in network()) {
        let accepted = Accepted::of("AllowedNetworks");
        prop_assert_eq!(accepted.contains(&network), allowed_networks(&network).is_ok());
        let two = format!("10.0.0.0/8,{network}");
        prop_assert_eq!(accepted.contains(&two), allowed_networks(&two).is_ok());
    }

    #[test]
    fn the_pattern_accepts_only_client_errors_that_the_sender_reads(
        codes in prop::collection::vec(prop::sample::select(vec!["408", "425", "429", "4", "409"]), 0..5)
    ) {
        let list = codes.join(",");
        let is_read = list.parse::<RetriedClientErrors>().is_ok();
        prop_assert!(!Accepted::of("RetriedClientErrors").contains(&list) || is_read);
    }
}
