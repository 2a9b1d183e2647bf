//! Which addresses may be dialled: only those of the public internet.
//!
//! The ranges are IANA's special-purpose registries for IPv4 and IPv6, plus Azure's host address.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::LazyLock;

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

/// Networks that a delivery never reaches, with what they are.
const FORBIDDEN: &[&str] = &[
    "0.0.0.0/8",        // this network
    "10.0.0.0/8",       // private
    "100.64.0.0/10",    // carrier-grade NAT
    "127.0.0.0/8",      // loopback, the Lambda Runtime API among it
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
    "::/8",             // unspecified, loopback, IPv4-mapped, -compatible and -translated
    "64:ff9b:1::/48",   // local-use NAT64
    "100::/64",         // discard
    "2001::/23",        // IETF protocol assignments, Teredo among them
    "2001:db8::/32",    // documentation
    "2002::/16",        // 6to4
    "3fff::/20",        // documentation
    "5f00::/16",        // segment routing
    "fc00::/7",         // unique local
    "fe80::/10",        // link-local
    "fec0::/10",        // site-local
    "ff00::/8",         // multicast
];

static FORBIDDEN_V4: LazyLock<Vec<Ipv4Net>> = LazyLock::new(|| {
    networks().filter_map(|net| if let IpNet::V4(net) = net { Some(net) } else { None }).collect()
});
static FORBIDDEN_V6: LazyLock<Vec<Ipv6Net>> = LazyLock::new(|| {
    networks().filter_map(|net| if let IpNet::V6(net) = net { Some(net) } else { None }).collect()
});

fn networks() -> impl Iterator<Item = IpNet> {
    FORBIDDEN.iter().map(|text| text.parse().expect("the table above holds networks"))
}

/// Whether `address` belongs to the public internet.
#[must_use]
pub fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => is_public_v4(v4),
        // NAT64 leads to the IPv4 address it carries, so it gets that address's verdict (RFC 6052).
        IpAddr::V6(v6) => nat64(v6)
            .map_or_else(|| !FORBIDDEN_V6.iter().any(|net| net.contains(&v6)), is_public_v4),
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    !FORBIDDEN_V4.iter().any(|net| net.contains(&address))
}

/// The IPv4 address in an address of the well-known prefix `64:ff9b::/96`.
fn nat64(address: Ipv6Addr) -> Option<Ipv4Addr> {
    let [0x64, 0xff9b, 0, 0, 0, 0, high, low] = address.segments() else { return None };
    Some(Ipv4Addr::from((u32::from(high) << 16) | u32::from(low)))
}

#[cfg(test)]
mod tests {
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
            "2606:4700:4700::1111",
            "2a00:1450:4001:80b::200e",
            "2001:200::1",
            "64:ff9b::101:101",
        ] {
            assert!(public(text), "{text}");
        }
    }

    #[test]
    fn the_first_and_last_address_of_every_forbidden_network_is_refused() {
        for net in networks() {
            assert!(!is_public(net.network()), "{net}");
            assert!(!is_public(net.broadcast()), "{net}");
        }
    }

    #[test]
    fn a_mapped_or_translated_private_address_is_as_private_as_the_one_it_carries() {
        for text in [
            "::ffff:127.0.0.1",
            "::127.0.0.1",
            "64:ff9b::7f00:1",
            "64:ff9b::a9fe:6401",
            "2002:7f00:1::",
        ] {
            assert!(!public(text), "{text}");
        }
    }
}
