//! What listens near the functions and is no business of an endpoint's: the Lambda Runtime API and the other
//! addresses that the environment names.

use std::net::{IpAddr, SocketAddr};

use url::{Host, Url};

use crate::address::{is_public, translated};

/// What is never dialled, whatever networks are allowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protected {
    /// One port of one address, in each of the address's spellings.
    Socket(SocketAddr),
    /// One port of every address that is not public: a name leads to who knows which, and what listens on one
    /// address of a machine may listen on all.
    Port(u16),
}

impl Protected {
    /// The port.
    #[must_use]
    pub fn port(&self) -> u16 {
        match self {
            Self::Socket(own) => own.port(),
            Self::Port(port) => *port,
        }
    }

    /// Whether `socket` is protected.
    pub(super) fn covers(&self, socket: SocketAddr) -> bool {
        let address = translated(socket.ip());
        self.port() == socket.port()
            && match self {
                // Whatever listens on one loopback address may listen on all of them.
                Self::Socket(own) => {
                    let own = translated(own.ip());
                    own == address || own.is_loopback() && address.is_loopback()
                }
                Self::Port(_) => !is_public(socket.ip()),
            }
    }

    /// Whether `address` is one of the internet's with something of ours behind it.
    pub(super) fn is_ours_in_public(&self, address: IpAddr) -> bool {
        matches!(self, Self::Socket(own) if own.ip() == translated(address) && is_public(address))
    }
}

impl From<SocketAddr> for Protected {
    fn from(socket: SocketAddr) -> Self {
        // To listen on "no address" is to listen on all.
        if translated(socket.ip()).is_unspecified() {
            Self::Port(socket.port())
        } else {
            Self::Socket(socket)
        }
    }
}

/// What is to be protected of addresses with spaces or commas between, and whether all of them can be read.
///
/// An address is a URL, a host and a port, either with `tcp:` or `udp:` before it, or a port alone.
pub(crate) fn read(addresses: &str) -> (Vec<Protected>, bool) {
    let mut all = Vec::new();
    let mut is_whole = true;
    let parts = addresses.split(|c: char| c.is_whitespace() || c == ',');
    for address in parts.filter(|part| !part.is_empty()) {
        let Some((host, port)) = host_and_port(address) else {
            is_whole = false;
            continue;
        };
        all.push(Protected::Port(port));
        all.extend(host.map(|ip| Protected::from(SocketAddr::new(ip, port))));
    }
    is_whole &= !all.is_empty();
    (all, is_whole)
}

/// The port of one address, and the IP address if it has one instead of a name.
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
    fn an_address_is_read_in_each_form_that_an_environment_has() {
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
            assert_eq!(read(value), (expected, true), "{value}");
        }
    }

    #[test]
    fn what_has_no_port_or_is_no_address_cannot_be_read_but_what_stands_beside_it_can() {
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
            assert_eq!(read(value), (vec![], false), "{value:?}");
        }
        for value in ["tcp:xray:2000 udp:nonsense", "nonsense,xray:2000"] {
            assert_eq!(read(value), (vec![Port(2000)], false), "{value:?}");
        }
    }
}
