//! URLs of every kind, with the result of checking them under the default policy.

use std::net::IpAddr;
use std::sync::Arc;

use futures_util::FutureExt as _;
use hyper::Uri;
use url::Host;

use super::EndpointRefusal::{
    self, Address, Control, Fragment, HostName, Length, Malformed, Port, Scheme, UserInfo,
};
use super::{EndpointPolicy, EndpointUrl};
use crate::resolve::{Lookup, ResolveError, resolve};

#[rustfmt::skip]
const TABLE: &[(&str, Option<EndpointRefusal>)] = &[
    ("https://example.com", None),
    ("https://example.com/", None),
    ("https://EXAMPLE.com/Path?query=1", None),
    ("https://example.com:443/", None),
    ("https://example.com:1024/", None),
    ("https://example.com:8443/hook", None),
    ("https://example.com:65535/", None),
    ("https://xn--bcher-kva.example/", None),
    ("https://bücher.example/", None),
    ("https://example.com./", None),
    ("https://a.b.c.d.example/", None),
    ("https://a_b._c.example/", None),
    ("https://a--b.example/", None),
    ("https://1.2.3.example/", None),
    ("https://0x1.example/", None),
    ("https://hooks/", None),
    ("https://aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.example/", None),
    (" https://example.com/ ", None),
    ("https://localhost.example.com/", None),
    ("https://1.1.1.1/", None),
    ("https://8.8.8.8:8443/", None),
    ("https://9.255.255.255/", None),
    ("https://11.0.0.0/", None),
    ("https://100.63.255.255/", None),
    ("https://100.128.0.0/", None),
    ("https://126.255.255.255/", None),
    ("https://128.0.0.0/", None),
    ("https://169.253.255.255/", None),
    ("https://169.255.0.0/", None),
    ("https://172.15.255.255/", None),
    ("https://172.32.0.0/", None),
    ("https://192.167.255.255/", None),
    ("https://192.169.0.0/", None),
    ("https://198.17.255.255/", None),
    ("https://198.20.0.0/", None),
    ("https://223.255.255.255/", None),
    ("https://168.63.129.15/", None),
    ("https://168.63.129.17/", None),
    ("https://[2606:4700:4700::1111]/", None),
    ("https://[2a00:1450:4001:80b::200e]:8443/", None),
    ("https://[2000::1]/", None),
    ("https://[2001:200::1]/", None),
    ("https://[2620:4f:8000::1]/", None),
    ("https://[3ffe:ffff::1]/", None),
    ("https://[3fff:1000::1]/", None),
    ("https://[64:ff9b::1.1.1.1]/", None),
    ("https://[64:ff9b::808:808]/", None),
    ("https://0.0.0.0/", Some(Address)),
    ("https://0.255.255.255/", Some(Address)),
    ("https://10.0.0.0/", Some(Address)),
    ("https://10.255.255.255/", Some(Address)),
    ("https://100.64.0.0/", Some(Address)),
    ("https://100.127.255.255/", Some(Address)),
    ("https://127.0.0.1/", Some(Address)),
    ("https://127.255.255.255/", Some(Address)),
    ("https://168.63.129.16/", Some(Address)),
    ("https://169.254.0.0/", Some(Address)),
    ("https://169.254.100.1:9001/", Some(Address)),
    ("https://169.254.169.254/latest/meta-data", Some(Address)),
    ("https://169.254.170.2/", Some(Address)),
    ("https://169.254.255.255/", Some(Address)),
    ("https://172.16.0.0/", Some(Address)),
    ("https://172.31.255.255/", Some(Address)),
    ("https://192.0.0.1/", Some(Address)),
    ("https://192.0.2.1/", Some(Address)),
    ("https://192.88.99.1/", Some(Address)),
    ("https://192.168.0.0/", Some(Address)),
    ("https://192.168.255.255/", Some(Address)),
    ("https://198.18.0.0/", Some(Address)),
    ("https://198.19.255.255/", Some(Address)),
    ("https://198.51.100.1/", Some(Address)),
    ("https://203.0.113.1/", Some(Address)),
    ("https://224.0.0.1/", Some(Address)),
    ("https://239.255.255.255/", Some(Address)),
    ("https://240.0.0.1/", Some(Address)),
    ("https://255.255.255.255/", Some(Address)),
    ("https://[::]/", Some(Address)),
    ("https://[::1]/", Some(Address)),
    ("https://[::127.0.0.1]/", Some(Address)),
    ("https://[::ffff:127.0.0.1]/", Some(Address)),
    ("https://[::ffff:7f00:1]/", Some(Address)),
    ("https://[::ffff:1.1.1.1]/", Some(Address)),
    ("https://[::ffff:0:127.0.0.1]/", Some(Address)),
    ("https://[64:ff9b::127.0.0.1]/", Some(Address)),
    ("https://[64:ff9b::a9fe:a9fe]/", Some(Address)),
    ("https://[64:ff9b::10.0.0.1]/", Some(Address)),
    ("https://[64:ff9b:1::1]/", Some(Address)),
    ("https://[64:ff9b:2::1]/", Some(Address)),
    ("https://[64:ff9b::1:101:101]/", Some(Address)),
    ("https://[64:ff9b::192.0.2.1]/", Some(Address)),
    ("https://[64:ff9c::1.1.1.1]/", Some(Address)),
    ("https://[100::1]/", Some(Address)),
    ("https://[100:0:0:1::1]/", Some(Address)),
    ("https://[200::1]/", Some(Address)),
    ("https://[400::1]/", Some(Address)),
    ("https://[1000::1]/", Some(Address)),
    ("https://[1fff:ffff::1]/", Some(Address)),
    ("https://[2001::1]/", Some(Address)),
    ("https://[2001:0:4136:e378:8000:63bf:80ff:fffe]/", Some(Address)),
    ("https://[2001:20::1]/", Some(Address)),
    ("https://[2001:1ff::1]/", Some(Address)),
    ("https://[2001:db8::1]/", Some(Address)),
    ("https://[2002:7f00:1::]/", Some(Address)),
    ("https://[2002:a00:1::]/", Some(Address)),
    ("https://[3fff::1]/", Some(Address)),
    ("https://[3fff:fff::1]/", Some(Address)),
    ("https://[4000::1]/", Some(Address)),
    ("https://[5f00::1]/", Some(Address)),
    ("https://[6000::1]/", Some(Address)),
    ("https://[8000::1]/", Some(Address)),
    ("https://[a000::1]/", Some(Address)),
    ("https://[c000::1]/", Some(Address)),
    ("https://[e000::1]/", Some(Address)),
    ("https://[f000::1]/", Some(Address)),
    ("https://[f800::1]/", Some(Address)),
    ("https://[fc00::1]/", Some(Address)),
    ("https://[fd00:ec2::254]/", Some(Address)),
    ("https://[fe80::1]/", Some(Address)),
    ("https://[febf::1]/", Some(Address)),
    ("https://[fec0::1]/", Some(Address)),
    ("https://[ff02::1]/", Some(Address)),
    ("https://127.1/", Some(Address)),
    ("https://127.0.1/", Some(Address)),
    ("https://2130706433/", Some(Address)),
    ("https://0x7f000001/", Some(Address)),
    ("https://0x7F.0.0.1/", Some(Address)),
    ("https://0177.0.0.1/", Some(Address)),
    ("https://017700000001/", Some(Address)),
    ("https://127.0.0.1./", Some(Address)),
    ("https://127.0.0.0x1/", Some(Address)),
    ("https://%31%32%37.0.0.1/", Some(Address)),
    ("https://１２７.0.0.1/", Some(Address)),
    ("https://127。0。0。1/", Some(Address)),
    ("https://0/", Some(Address)),
    ("http://example.com/", Some(Scheme)),
    ("ftp://example.com/", Some(Scheme)),
    ("file://host/etc/passwd", Some(Scheme)),
    ("gopher://example.com/", Some(Scheme)),
    ("ws://example.com/", Some(Scheme)),
    ("HTTP://1.1.1.1/", Some(Scheme)),
    ("https://example.com:80/", Some(Port)),
    ("https://example.com:22/", Some(Port)),
    ("https://example.com:1/", Some(Port)),
    ("https://example.com:0/", Some(Port)),
    ("https://example.com:442/", Some(Port)),
    ("https://example.com:1023/", Some(Port)),
    ("https://1.1.1.1:25/", Some(Port)),
    ("https://user@example.com/", Some(UserInfo)),
    ("https://user:pw@example.com/", Some(UserInfo)),
    ("https://:pw@example.com/", Some(UserInfo)),
    ("https://1.1.1.1@127.0.0.1/", Some(UserInfo)),
    ("https://example.com/#", Some(Fragment)),
    ("https://example.com/#part", Some(Fragment)),
    ("https://a{b}.example/", Some(HostName)),
    ("https://a\"b.example/", Some(HostName)),
    ("https://a`b.example/", Some(HostName)),
    ("https://a(b).example/", Some(HostName)),
    ("https://a'b.example/", Some(HostName)),
    ("https://a!$&,;=+~b.example/", Some(HostName)),
    ("https://*.example/", Some(HostName)),
    ("https://*/", Some(HostName)),
    ("https://a..b/", Some(HostName)),
    ("https://./", Some(HostName)),
    ("https://.example/", Some(HostName)),
    ("https://example../", Some(HostName)),
    ("https://a%2e%2eb/", Some(HostName)),
    ("https://a。。b/", Some(HostName)),
    ("https://-a.example/", Some(HostName)),
    ("https://a-.example/", Some(HostName)),
    ("https://a.example-/", Some(HostName)),
    ("https://-/", Some(HostName)),
    ("https://a.-.example/", Some(HostName)),
    ("https://aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.example/", Some(HostName)),
    ("https://exa\tmple.com/", Some(Control)),
    ("https://example.com/a\nb", Some(Control)),
    ("https://example.com/a\rb", Some(Control)),
    ("ht\ntps://example.com/", Some(Control)),
    ("https:/\t/example.com/", Some(Control)),
    ("https://example.com/?a=\tb", Some(Control)),
    ("https://example.com/\n", Some(Control)),
    ("\thttps://example.com/", Some(Control)),
    ("https://example.com/\0", Some(Control)),
    ("https://example.com/\u{1b}", Some(Control)),
    ("https://exa\u{200b}mple.com/", Some(Control)),
    ("https://exa\u{ad}mple.com/", Some(Control)),
    ("https://example.com/\u{202e}", Some(Control)),
    ("https://example.com/\u{feff}", Some(Control)),
    ("https://example.com/\u{7f}", Some(Control)),
    ("https://example.com/\u{85}", Some(Control)),
    ("https://127.0.0.1\t/", Some(Control)),
    ("example.com", Some(Malformed)),
    ("//example.com/", Some(Malformed)),
    ("https://", Some(Malformed)),
    ("https://:443/", Some(Malformed)),
    ("https://exa mple.com/", Some(Malformed)),
    ("https://[::1", Some(Malformed)),
    ("https://[fe80::1%25eth0]/", Some(Malformed)),
    ("https://256.256.256.256/", Some(Malformed)),
    ("https://1.2.3.4.5/", Some(Malformed)),
    ("https://0x100000000/", Some(Malformed)),
    ("https://example.com:65536/", Some(Malformed)),
    ("https://exa<mple.com/", Some(Malformed)),
    ("https://%00/", Some(Malformed)),
    ("not a url", Some(Malformed)),
    ("", Some(Length)),
];

#[test]
fn every_url_in_the_table_gets_its_result() {
    let policy = EndpointPolicy::default();
    let mut wrong = Vec::new();
    for (text, expected) in TABLE {
        let actual = EndpointUrl::parse(text).and_then(|url| policy.check_url(&url)).err();
        if actual != *expected {
            wrong.push(format!("{text}: {actual:?}, not {expected:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_host_name_has_at_most_253_characters() {
    let policy = EndpointPolicy::default();
    let label = "a".repeat(63);
    let name = [&label[..], &label, &label, &label[..61]].join(".");
    for (name, expected) in [(&name[..], Ok(())), (&format!("{name}a"), Err(HostName))] {
        let url = EndpointUrl::parse(&format!("https://{name}/")).unwrap();
        assert_eq!(policy.check_url(&url), expected, "{}", name.len());
    }
}

#[test]
fn every_accepted_url_is_a_valid_http_uri() {
    const PARTS: [&str; 12] =
        ["a", "-", ".", "/", "?", "%", ":8443", "é", "%2e", "xn--", "_", "\\"];
    let policy = EndpointPolicy::default();
    let mut accepted = 0;
    for _ in 0..50_000 {
        let mut bytes = [0; 24];
        getrandom::fill(&mut bytes).unwrap();
        let text = bytes.chunks(2).map(|it| match it[0] % 3 {
            0 => PARTS[usize::from(it[1]) % PARTS.len()].to_owned(),
            1 => char::from(it[1] % 0x60 + 0x20).to_string(),
            _ => char::from_u32(u32::from(it[1]) << 5).unwrap_or('b').to_string(),
        });
        let text = format!("https://a{}", text.collect::<String>());
        let Ok(url) = EndpointUrl::parse(&text) else { continue };
        if policy.check_url(&url).is_ok() {
            accepted += 1;
            assert!(url.as_str().parse::<Uri>().is_ok(), "{text:?}, {}", url.as_str());
        }
    }
    assert!(accepted > 1000, "{accepted} accepted");
}

#[test]
fn a_stored_url_can_be_read_even_if_its_host_is_refused_now() {
    for (text, _) in TABLE.iter().filter(|(_, refusal)| matches!(refusal, None | Some(HostName))) {
        let stored = EndpointUrl::parse(text).unwrap();
        assert_eq!(EndpointUrl::parse(stored.as_str()), Ok(stored), "{text}");
    }
}

/// The URL's host, if it is an IP address.
fn literal(text: &str) -> Option<IpAddr> {
    match EndpointUrl::parse(text).ok()?.as_url().host()? {
        Host::Ipv4(address) => Some(address.into()),
        Host::Ipv6(address) => Some(address.into()),
        Host::Domain(_) => None,
    }
}

#[tokio::test]
async fn an_address_gets_the_same_result_in_a_url_and_from_dns() {
    let policy = EndpointPolicy::default();
    let cases = TABLE.iter().filter(|(_, refusal)| matches!(refusal, None | Some(Address)));
    let mut addresses = 0;
    for (text, written) in cases {
        let Some(address) = literal(text) else { continue };
        addresses += 1;
        let lookup: Lookup = Arc::new(move |_| async move { Ok(vec![address]) }.boxed());
        let resolved = match resolve(&lookup, &policy, "name.example").await {
            Ok(_) => None,
            Err(ResolveError::Refused(refusal)) => Some(refusal),
            Err(ResolveError::Unresolved(error)) => panic!("{text}: {error}"),
        };
        assert_eq!(resolved, *written, "{text}");
    }
    assert!(addresses >= 80, "{addresses} addresses");
}
