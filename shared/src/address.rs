//! Which IP addresses are on the public internet; the sender connects to no others.
//!
//! IPv4: everything except the ranges of IANA's special-purpose registry and Azure's host address. IPv6: only
//! NAT64 and global unicast, without the special ranges inside it.

use std::fmt::Debug;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;
use std::sync::LazyLock;

use ipnet::{Ipv4Net, Ipv6Net};

/// Special IPv4 networks: those of IANA's registry, and Azure's host.
const SPECIAL_V4: &[&str] = &[
    "0.0.0.0/8",        // this network
    "10.0.0.0/8",       // private
    "100.64.0.0/10",    // carrier-grade NAT
    "127.0.0.0/8",      // loopback, including the Lambda Runtime API
    "168.63.129.16/32", // Azure's host
    "169.254.0.0/16",   // link-local: metadata services, the Lambda Runtime API
    "172.16.0.0/12",    // private
    "192.0.0.0/24",     // IETF protocol assignments
    "192.0.2.0/24",     // documentation
    "192.88.99.0/24",   // 6to4 relay
    "192.168.0.0/16",   // private
    "198.18.0.0/15",    // benchmarking
    "198.51.100.0/24",  // documentation
    "203.0.113.0/24",   // documentation
    "224.0.0.0/4",      // multicast
    "240.0.0.0/4",      // reserved, and broadcast
];

/// Global unicast (RFC 4291), the only public part of IPv6. The rest is reserved or local to a machine, link or
/// site.
const GLOBAL_UNICAST: Ipv6Net = Ipv6Net::new_assert(Ipv6Addr::new(0x2000, 0, 0, 0, 0, 0, 0, 0), 3);

/// Special networks inside [`GLOBAL_UNICAST`].
const SPECIAL_V6: &[&str] = &[
    "2001::/23",     // IETF protocol assignments, including Teredo
    "2001:db8::/32", // documentation
    "2002::/16",     // 6to4
    "3fff::/20",     // documentation
];

static FORBIDDEN_V4: LazyLock<Vec<Ipv4Net>> = LazyLock::new(|| networks(SPECIAL_V4));
static FORBIDDEN_V6: LazyLock<Vec<Ipv6Net>> = LazyLock::new(|| networks(SPECIAL_V6));

fn networks<Net: FromStr<Err: Debug>>(table: &[&str]) -> Vec<Net> {
    table.iter().map(|text| text.parse().expect("the tables above contain networks")).collect()
}

/// True if `address` is on the public internet.
#[must_use]
pub(crate) fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => is_public_v4(v4),
        // NAT64 leads to the IPv4 address inside it (RFC 6052), so that address decides.
        IpAddr::V6(v6) => nat64(v6).map_or_else(|| is_public_v6(v6), is_public_v4),
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    !FORBIDDEN_V4.iter().any(|net| net.contains(&address))
}

fn is_public_v6(address: Ipv6Addr) -> bool {
    GLOBAL_UNICAST.contains(&address) && !FORBIDDEN_V6.iter().any(|net| net.contains(&address))
}

/// The IPv4 address inside an address with the well-known prefix `64:ff9b::/96`.
fn nat64(address: Ipv6Addr) -> Option<Ipv4Addr> {
    let [0x64, 0xff9b, 0, 0, 0, 0, high, low] = address.segments() else { return None };
    Some(v4(high, low))
}

/// The IPv4 address embedded in an IPv6 address, or the address itself if there is none.
///
/// A tunnel or translator on the way delivers such an IPv6 packet to the embedded address.
pub(crate) fn translated(address: IpAddr) -> IpAddr {
    let IpAddr::V6(v6) = address else { return address };
    let embedded = match v6.segments() {
        // The unspecified address and loopback look IPv4-compatible but are not.
        [0, 0, 0, 0, 0, 0, 0, 0 | 1] => return address,
        // IPv4-mapped, IPv4-compatible and IPv4-translated addresses, and NAT64's two prefixes.
        [0, 0, 0, 0, 0, 0 | 0xffff, high, low]
        | [0, 0, 0, 0, 0xffff, 0, high, low]
        | [0x64, 0xff9b, 0, 0, 0, 0, high, low]
        | [0x64, 0xff9b, 1, _, _, _, high, low]
        // 6to4.
        | [0x2002, high, low, ..] => v4(high, low),
        // Teredo, which inverts each bit.
        [0x2001, 0, _, _, _, _, high, low] => v4(!high, !low),
        _ => return address,
    };
    embedded.into()
}

fn v4(high: u16, low: u16) -> Ipv4Addr {
    Ipv4Addr::from((u32::from(high) << 16) | u32::from(low))
}

#[cfg(test)]
mod tests {
    use ipnet::IpNet;

    use super::*;

    fn public(text: &str) -> bool {
        is_public(text.parse().unwrap())
    }

    #[test]
    fn public_addresses_are_public() {
        for text in [
            "1.1.1.1",
            "9.255.255.255",
            "11.0.0.0",
            "172.15.255.255",
            "172.32.0.0",
            "100.63.255.255",
            "100.128.0.0",
            "223.255.255.255",
            "168.63.129.17",
            "2000::",
            "2001:200::1",
            "2606:4700:4700::1111",
            "2a00:1450:4001:80b::200e",
            "3ffe:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
            "3fff:1000::",
            "64:ff9b::101:101",
        ] {
            assert!(public(text), "{text}");
        }
    }

    #[test]
    fn the_first_and_last_address_of_every_special_network_is_refused() {
        for net in networks::<IpNet>(SPECIAL_V4).into_iter().chain(networks(SPECIAL_V6)) {
            assert!(!is_public(net.network()), "{net}");
            assert!(!is_public(net.broadcast()), "{net}");
        }
    }

    #[test]
    fn every_special_ipv6_network_is_inside_global_unicast() {
        for net in networks::<Ipv6Net>(SPECIAL_V6) {
            assert!(GLOBAL_UNICAST.contains(&net), "{net}");
        }
    }

    #[test]
    fn no_ipv6_address_outside_global_unicast_is_public_except_nat64() {
        for _ in 0..100_000 {
            let mut octets = [0; 16];
            getrandom::fill(&mut octets).unwrap();
            // The first three bits are anything except 001. Half of the addresses have zeros in the middle, like
            // most special addresses.
            octets[0] = octets[0] & 0x1f | [0, 2, 3, 4, 5, 6, 7][usize::from(octets[0]) % 7] << 5;
            if octets[15].is_multiple_of(2) {
                octets[1..15].fill(0);
            }
            let address = Ipv6Addr::from(octets);
            assert!(!is_public(address.into()) || nat64(address).is_some(), "{address}");
        }
    }

    #[test]
    fn addresses_around_global_unicast_and_nat64_are_refused() {
        for text in [
            "::",
            "100::1",
            "100:0:0:1::1",
            "400::1",
            "1fff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
            "4000::",
            "5f00::1",
            "e000::1",
            "fc00::1",
            "fe80::1",
            "fec0::1",
            "ff0e::1",
            "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
            // Next to NAT64.
            "64:ff9a:ffff:ffff:ffff:ffff:101:101",
            "64:ff9b:0:0:0:1:101:101",
            "64:ff9b:1::101:101",
            "64:ff9c::101:101",
        ] {
            assert!(!public(text), "{text}");
        }
    }

    const SPELLINGS: [&str; 7] = [
        "::ffff:127.0.0.1",
        "::127.0.0.1",
        "::ffff:0:127.0.0.1",
        "64:ff9b::7f00:1",
        "64:ff9b:1::7f00:1",
        "2002:7f00:1::",
        "2001:0:4136:e378:8000:63bf:80ff:fffe",
    ];

    #[test]
    fn a_mapped_or_translated_private_address_is_not_public() {
        for text in SPELLINGS.into_iter().chain(["64:ff9b::a9fe:6401"]) {
            assert!(!public(text), "{text}");
        }
    }

    #[test]
    fn every_spelling_of_an_ipv4_address_is_translated_and_other_addresses_are_not() {
        for text in SPELLINGS {
            assert_eq!(translated(text.parse().unwrap()), Ipv4Addr::LOCALHOST, "{text}");
        }
        for text in ["127.0.0.1", "::1", "::", "2606:4700:4700::1111", "fd00::7f00:1"] {
            let address: IpAddr = text.parse().unwrap();
            assert_eq!(translated(address), address, "{text}");
        }
    }
}
