//! An endpoint's URL, and the policy that says whether it may be called.
//!
//! The rule: a URL is a stranger's. It is judged when it is registered and again at every attempt, and
//! a refusal never says which range an address fell in.

#[cfg(test)]
mod table;

use std::fmt;
use std::net::{IpAddr, SocketAddr};

use ipnet::IpNet;
use rustls::pki_types::DnsName;
use url::{Host, Url};

use crate::address;

/// The longest URL that can be registered, in characters.
pub const MAX_URL_CHARS: usize = 2048;

/// A URL that a delivery can be posted to, in the URL standard's normal form.
#[derive(Clone, PartialEq, Eq)]
pub struct EndpointUrl(Url);

/// Why a text is not an endpoint's URL, or why an endpoint may not be called.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum EndpointRefusal {
    /// Longer than [`MAX_URL_CHARS`], or empty.
    #[error("the URL must have 1 to {MAX_URL_CHARS} characters")]
    Length,
    /// A control character, a tab or a line break; parsing a URL would drop some of them without a word.
    #[error("the URL must not contain tabs, line breaks or other control characters")]
    Control,
    /// Not a URL, or one without a host.
    #[error("not a URL; expected the form https://example.com/webhooks")]
    Malformed,
    /// A user name or a password in the URL.
    #[error("the URL must not contain a user name or password")]
    UserInfo,
    /// A part after `#`, which is never sent.
    #[error("the URL must not have a fragment")]
    Fragment,
    /// Another scheme.
    #[error("the URL must start with https://")]
    Scheme,
    /// A privileged port other than https's own.
    #[error("the URL's port must be 443 or between 1024 and 65535")]
    Port,
    /// A host name that cannot be looked up, or for which no certificate can be checked.
    #[error(
        "the URL's host is not a valid host name: each part between dots must have 1 to 63 letters, digits, \
         hyphens or underscores and neither begin nor end with a hyphen; the whole name at most 253 characters"
    )]
    HostName,
    /// An address that is not on the public internet.
    #[error("the endpoint's address is not allowed")]
    Address,
}

impl EndpointUrl {
    /// Reads a URL, independent of any policy, and without a judgement on its host's name: what is stored
    /// must stay readable. Spaces around the URL are left out.
    pub fn parse(text: &str) -> Result<Self, EndpointRefusal> {
        if text.is_empty() || text.chars().count() > MAX_URL_CHARS {
            return Err(EndpointRefusal::Length);
        }
        if text.contains(char::is_control) {
            return Err(EndpointRefusal::Control);
        }
        let url = Url::parse(text).map_err(|_malformed| EndpointRefusal::Malformed)?;
        if url.as_str().len() > MAX_URL_CHARS {
            return Err(EndpointRefusal::Length);
        }
        if !matches!(url.scheme(), "http" | "https") {
            return Err(EndpointRefusal::Scheme);
        }
        if url.host_str().is_none_or(str::is_empty) {
            return Err(EndpointRefusal::Malformed);
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(EndpointRefusal::UserInfo);
        }
        if url.fragment().is_some() {
            return Err(EndpointRefusal::Fragment);
        }
        Ok(Self(url))
    }

    /// The URL as it is stored and shown.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }

    /// The parsed URL.
    #[must_use]
    pub fn as_url(&self) -> &Url {
        &self.0
    }
}

/// Shows scheme and host only: a path or query may carry a tenant's own token, and this ends up in logs.
impl fmt::Debug for EndpointUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", self.0.scheme(), self.0.host_str().unwrap_or_default())
    }
}

/// Which endpoints may be called. The default is the strictest: https to public addresses.
#[derive(Debug, Clone, Default)]
pub struct EndpointPolicy {
    /// Whether plain http, and any port, may be used; for a developer's machine only.
    pub allow_http: bool,
    /// Networks that may be dialled although they are not public.
    pub allowed_networks: Vec<IpNet>,
    /// Sockets that are never dialled, whatever is allowed: the Lambda Runtime API and its like.
    pub protected: Vec<SocketAddr>,
}

impl EndpointPolicy {
    /// Judges all that the URL itself shows: scheme, port, and the host's name or IP address.
    pub fn check_url(&self, url: &EndpointUrl) -> Result<(), EndpointRefusal> {
        let url = &url.0;
        if url.scheme() != "https" && !self.allow_http {
            return Err(EndpointRefusal::Scheme);
        }
        let port = url.port_or_known_default().ok_or(EndpointRefusal::Port)?;
        if port != 443 && port < 1024 && !self.allow_http {
            return Err(EndpointRefusal::Port);
        }
        match url.host() {
            Some(Host::Ipv4(address)) => self.check_socket(SocketAddr::new(address.into(), port)),
            Some(Host::Ipv6(address)) => self.check_socket(SocketAddr::new(address.into(), port)),
            // The URL standard has more characters in names than DNS, TLS and HTTP have.
            Some(Host::Domain(name)) if DnsName::try_from(name).is_err() => {
                Err(EndpointRefusal::HostName)
            }
            // A name could lead to a protected socket inside an allowed network, and the resolver that
            // checks addresses is not told the port: so that port is off limits to every name.
            Some(Host::Domain(_)) if self.is_protected_port(port) => Err(EndpointRefusal::Address),
            Some(Host::Domain(_)) => Ok(()),
            None => Err(EndpointRefusal::Malformed),
        }
    }

    /// Judges an address that a name resolved to.
    pub fn check_address(&self, address: IpAddr) -> Result<(), EndpointRefusal> {
        // To dial "no address" is to dial this machine: no network that is allowed can mean that, and
        // protected sockets are not known by it.
        let is_this_machine = address.to_canonical().is_unspecified();
        if address::is_public(address) || (self.is_allowed(address) && !is_this_machine) {
            Ok(())
        } else {
            Err(EndpointRefusal::Address)
        }
    }

    fn check_socket(&self, socket: SocketAddr) -> Result<(), EndpointRefusal> {
        let address = socket.ip().to_canonical();
        // Whatever listens on one loopback address may listen on all of them.
        let is_protected = |protected: &SocketAddr| {
            protected.port() == socket.port()
                && (protected.ip() == address
                    || protected.ip().is_loopback() && address.is_loopback())
        };
        if self.protected.iter().any(is_protected) {
            return Err(EndpointRefusal::Address);
        }
        self.check_address(socket.ip())
    }

    fn is_allowed(&self, address: IpAddr) -> bool {
        self.allowed_networks.iter().any(|net| net.contains(&address.to_canonical()))
    }

    /// Matters only where something that is not public can be reached at all.
    fn is_protected_port(&self, port: u16) -> bool {
        !self.allowed_networks.is_empty()
            && self.protected.iter().any(|socket| socket.port() == port)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judge(policy: &EndpointPolicy, text: &str) -> Result<(), EndpointRefusal> {
        policy.check_url(&EndpointUrl::parse(text)?)
    }

    #[test]
    fn a_url_of_more_than_2048_characters_is_refused_also_when_only_its_normal_form_is() {
        let long = format!("https://example.com/{}", "a".repeat(2029));
        assert_eq!(judge(&EndpointPolicy::default(), &long), Err(EndpointRefusal::Length));
        assert_eq!(judge(&EndpointPolicy::default(), &long[..2048]), Ok(()));
        let spaces = format!("https://example.com/{}", " a".repeat(900));
        assert_eq!(judge(&EndpointPolicy::default(), &spaces), Err(EndpointRefusal::Length));
    }

    #[test]
    fn a_protected_socket_stays_refused_inside_an_allowed_network() {
        let policy = EndpointPolicy {
            allow_http: true,
            allowed_networks: vec!["127.0.0.0/8".parse().unwrap()],
            protected: vec!["127.0.0.1:9001".parse().unwrap()],
        };
        assert_eq!(judge(&policy, "http://127.0.0.1:9002/"), Ok(()));
        assert_eq!(judge(&policy, "http://localhost:9002/"), Ok(()));
        for text in [
            "http://127.0.0.1:9001/",
            "http://127.9.9.9:9001/",
            "http://2130706433:9001/",
            "http://localhost:9001/",
        ] {
            assert_eq!(judge(&policy, text), Err(EndpointRefusal::Address), "{text}");
        }
    }

    #[test]
    fn the_unspecified_address_stays_refused_when_everything_is_allowed() {
        let policy = EndpointPolicy {
            allow_http: true,
            allowed_networks: vec!["0.0.0.0/0".parse().unwrap(), "::/0".parse().unwrap()],
            protected: vec!["127.0.0.1:9001".parse().unwrap()],
        };
        assert_eq!(judge(&policy, "http://127.0.0.1:9002/"), Ok(()));
        for text in
            ["http://0.0.0.0:9001/", "http://0:9001/", "http://[::]:9001/", "http://[::ffff:0:0]/"]
        {
            assert_eq!(judge(&policy, text), Err(EndpointRefusal::Address), "{text}");
        }
    }

    #[test]
    fn debug_shows_no_path_and_no_query() {
        let url = EndpointUrl::parse("https://example.com/hook/token?key=1").unwrap();
        assert_eq!(format!("{url:?}"), "https://example.com");
    }
}
