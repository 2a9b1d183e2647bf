//! Services that no endpoint may reach: the Lambda Runtime API and the others whose addresses are in the
//! environment.

use std::net::{IpAddr, SocketAddr};

use url::{Host, Url};

use crate::address::{is_public, translated};

/// A socket or port that is never dialled, even in an allowed network.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protected {
    /// One port of one address, in every spelling of the address.
    Socket(SocketAddr),
    /// One port of every address that is not public. It protects a service whose address is a host name, or that
    /// may listen on all addresses of a machine.
    Port(u16),
}

impl Protected {
    /// The port of either variant.
    #[must_use]
    pub(crate) fn port(&self) -> u16 {
        match self {
            Self::Socket(socket) => socket.port(),
            Self::Port(port) => *port,
        }
    }

    /// True if `socket` is protected.
    pub(super) fn covers(&self, socket: SocketAddr) -> bool {
        let address = translated(socket.ip());
        self.port() == socket.port()
            && match self {
                // A service on one loopback address may listen on all of them.
                Self::Socket(protected) => {
                    let protected = translated(protected.ip());
                    protected == address || protected.is_loopback() && address.is_loopback()
                }
                Self::Port(_) => !is_public(socket.ip()),
            }
    }

    /// True if `address` is public and a protected service listens on it.
    pub(super) fn is_at_public_address(&self, address: IpAddr) -> bool {
        matches!(self, Self::Socket(protected) if protected.ip() == translated(address) && is_public(address))
    }
}

impl From<SocketAddr> for Protected {
    fn from(socket: SocketAddr) -> Self {
        // A service bound to the unspecified address listens on all of them.
        if translated(socket.ip()).is_unspecified() {
            Self::Port(socket.port())
        } else {
            Self::Socket(socket)
        }
    }
}

/// Parses addresses separated by spaces or commas. The second value is false if one is invalid or there is none.
///
/// An address is a URL, a port, or a host and a port, such as `tcp:127.0.0.1:2000`; `tcp:` or `udp:` is optional.
pub(crate) fn parse(addresses: &str) -> (Vec<Protected>, bool) {
    let mut all = Vec::new();
    let mut is_complete = true;
    let parts = addresses.split(|c: char| c.is_whitespace() || c == ',');
    for address in parts.filter(|part| !part.is_empty()) {
        let Some((host, port)) = host_and_port(address) else {
            is_complete = false;
            continue;
        };
        all.push(Protected::Port(port));
        all.extend(host.map(|ip| Protected::from(SocketAddr::new(ip, port))));
    }
    is_complete &= !all.is_empty();
    (all, is_complete)
}

/// The port of one address, and its IP address if the host is not a name.
fn host_and_port(address: &str) -> Option<(Option<IpAddr>, u16)> {
    let (host, port) = if let Ok(port) = address.parse() {
        return Some((None, port));
    } else if address.contains("://") {
        let url = Url::parse(address).ok()?;
        (url.host_str()?.to_owned(), url.port_or_known_default()?)
    } else {
        let socket = ["tcp:", "udp:"].iter().find_map(|it| address.strip_prefix(it));
        let (host, port) = socket.unwrap_or(address).rsplit_once(':')?;
        (host.to_owned(), port.parse().ok()?)
    };
    let ip = match Host::parse(&host).ok()? {
        Host::Domain(_) => None,
        Host::Ipv4(address) => Some(address.into()),
        Host::Ipv6(address) => Some(address.into()),
    };
    Some((ip, port))
}

#[cfg(test)]
mod tests {
    use super::Protected::{Port, Socket};
    use super::*;

    fn socket(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }

    #[test]
    fn every_form_of_address_is_parsed() {
        let loopback =
            |port| vec![Port(port), Socket(SocketAddr::new([127, 0, 0, 1].into(), port))];
        for (value, expected) in [
            ("127.0.0.1:9001", loopback(9001)),
            ("127.1:9001", loopback(9001)),
            ("[::1]:9001", vec![Port(9001), Socket(socket("[::1]:9001"))]),
            ("1.1.1.1:9001", vec![Port(9001), Socket(socket("1.1.1.1:9001"))]),
            ("0.0.0.0:9001", vec![Port(9001), Port(9001)]),
            ("[::]:9001", vec![Port(9001), Port(9001)]),
            ("localhost:9001", vec![Port(9001)]),
            ("9001", vec![Port(9001)]),
            ("http://127.0.0.1:4566", loopback(4566)),
            ("http://127.0.0.1", loopback(80)),
            ("http://127.0.0.1/v1/credentials?a=b", loopback(80)),
            ("http://[fd00:ec2::254]/", vec![Port(80), Socket(socket("[fd00:ec2::254]:80"))]),
            ("https://sqs.example.com", vec![Port(443)]),
            ("https://sqs.example.com:8443/", vec![Port(8443)]),
            ("http://user:password@proxy:3128", vec![Port(3128)]),
            ("tcp://127.0.0.1:25888", loopback(25888)),
            ("tcp:127.0.0.1:2000", loopback(2000)),
            ("tcp:127.0.0.1:2000 udp:127.0.0.1:2001", [loopback(2000), loopback(2001)].concat()),
            ("tcp:xray:2000  udp:xray:2001", vec![Port(2000), Port(2001)]),
            ("http://a:4317,http://b:4318", vec![Port(4317), Port(4318)]),
        ] {
            assert_eq!(parse(value), (expected, true), "{value}");
        }
    }

    #[test]
    fn an_invalid_address_is_reported_and_the_others_are_parsed() {
        for value in [
            "",
            " ",
            "localhost",
            "169.254.79.129",
            "::1",
            "127.0.0.1:",
            "127.0.0.1:65536",
            ":9001",
            "tcp://localhost",
            "http://",
            "unix:///var/run/agent",
        ] {
            assert_eq!(parse(value), (vec![], false), "{value:?}");
        }
        for value in ["tcp:xray:2000 udp:nonsense", "nonsense,xray:2000"] {
            assert_eq!(parse(value), (vec![Port(2000)], false), "{value:?}");
        }
    }
}
