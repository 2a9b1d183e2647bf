//! An endpoint's URL, and the policy that decides whether it may be called.
//!
//! The rule: a URL is untrusted. It is checked when it is registered and again at every attempt, and a refusal
//! never says which range an address is in.

mod protected;
#[cfg(test)]
mod table;

use std::borrow::Cow;
use std::fmt;
use std::net::{IpAddr, SocketAddr};

use ipnet::IpNet;
use rustls::pki_types::DnsName;
use url::{Host, Url};

use crate::address;
use crate::text::is_printable;
pub use protected::Protected;
pub(crate) use protected::parse as parse_protected;

/// Maximum length of a URL, in characters.
pub const MAX_URL_CHARS: usize = 2048;

/// An http or https URL in the WHATWG URL standard's normal form.
#[derive(Clone, PartialEq, Eq)]
pub struct EndpointUrl(Url);

/// Why a URL is invalid, or why its endpoint may not be called.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum EndpointRefusal {
    /// Empty, or longer than 2,048 characters.
    #[error("the URL must have 1 to {MAX_URL_CHARS} characters")]
    Length,
    /// Contains a control character, a tab, a line break or an invisible character. The URL parser would drop some
    /// of them silently.
    #[error("the URL must not contain tabs, line breaks, or other control or invisible characters")]
    Control,
    /// Not a URL, or a URL without a host.
    #[error("not a URL; expected the form https://example.com/webhooks")]
    Malformed,
    /// Contains a user name or a password.
    #[error("the URL must not contain a user name or password")]
    UserInfo,
    /// Contains a `#` part, which HTTP never sends.
    #[error("the URL must not have a fragment")]
    Fragment,
    /// Neither https nor, if the policy allows it, http.
    #[error("the URL must start with https://")]
    Scheme,
    /// A port below 1024 other than 443.
    #[error("the URL's port must be 443 or between 1024 and 65535")]
    Port,
    /// A host name that DNS or a certificate cannot contain.
    #[error(
        "the URL's host is not a valid host name: each part between dots must have 1 to 63 letters, digits, \
         hyphens or underscores and must not begin or end with a hyphen; the whole name has at most 253 characters"
    )]
    HostName,
    /// An address that is protected, or neither public nor in an allowed network.
    #[error("the endpoint's address is not allowed")]
    Address,
}

impl EndpointUrl {
    /// Parses a URL and removes spaces around it. Applies no policy and does not check the host name, so every
    /// stored URL can still be read.
    pub fn parse(text: &str) -> Result<Self, EndpointRefusal> {
        if text.is_empty() || text.chars().count() > MAX_URL_CHARS {
            return Err(EndpointRefusal::Length);
        }
        if !is_printable(text) {
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

    /// The normal form, which is stored and shown.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }

    /// The port in the URL, or the scheme's default.
    ///
    /// # Panics
    ///
    /// Never: [`Self::parse`] accepts only http and https.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.0.port_or_known_default().expect("http and https have a default port")
    }

    /// Has a host, and no user name, password or fragment.
    #[must_use]
    pub fn as_url(&self) -> &Url {
        &self.0
    }
}

/// Shows only scheme and host: path and query may contain a tenant's token, and `Debug` output ends up in logs.
impl fmt::Debug for EndpointUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", self.0.scheme(), self.0.host_str().unwrap_or_default())
    }
}

/// Decides which endpoints may be called. The default is the strictest: https to public addresses only.
#[derive(Debug, Clone, Default)]
pub struct EndpointPolicy {
    /// Allows plain http and every port. For development only.
    pub allow_http: bool,
    /// Private networks that may be dialled.
    pub allowed_networks: Vec<IpNet>,
    /// Never dialled, even in an allowed network: the Lambda Runtime API and similar services.
    pub protected: Vec<Protected>,
}

impl EndpointPolicy {
    /// Checks the URL itself: scheme, port, and the host's name or IP address.
    ///
    /// `check_address` checks the addresses that a host name resolves to.
    pub fn check_url(&self, url: &EndpointUrl) -> Result<(), EndpointRefusal> {
        let port = url.port();
        let url = &url.0;
        if url.scheme() != "https" && !self.allow_http {
            return Err(EndpointRefusal::Scheme);
        }
        if port != 443 && port < 1024 && !self.allow_http {
            return Err(EndpointRefusal::Port);
        }
        match url.host() {
            Some(Host::Ipv4(address)) => self.check_socket(SocketAddr::new(address.into(), port)),
            Some(Host::Ipv6(address)) => self.check_socket(SocketAddr::new(address.into(), port)),
            // The URL standard allows characters in host names that DNS, TLS and HTTP do not.
            Some(Host::Domain(name)) if DnsName::try_from(name).is_err() => {
                Err(EndpointRefusal::HostName)
            }
            Some(Host::Domain(_)) => Ok(()),
            None => Err(EndpointRefusal::Malformed),
        }
    }

    /// Checks an address that a host name resolved to. `self` must come from [`Self::for_port`].
    pub(crate) fn check_address(&self, address: IpAddr) -> Result<(), EndpointRefusal> {
        let may_be_dialled = if address::is_public(address) {
            !self.protected.iter().any(|protected| protected.is_at_public_address(address))
        } else {
            // The unspecified address (0.0.0.0 or ::) reaches this machine, so it would bypass the protected
            // sockets.
            self.is_allowed(address) && !address::translated(address).is_unspecified()
        };
        if may_be_dialled { Ok(()) } else { Err(EndpointRefusal::Address) }
    }

    /// The policy for resolving a host name that will be dialled on `port`.
    ///
    /// On a protected port it allows only public addresses: in an allowed network the name could resolve to a
    /// protected service.
    #[must_use]
    pub fn for_port(&self, port: u16) -> Cow<'_, Self> {
        if self.is_protected_port(port) {
            Cow::Owned(self.public_only())
        } else {
            Cow::Borrowed(self)
        }
    }

    /// True if [`Self::for_port`] returns a stricter policy than this one.
    #[must_use]
    pub(crate) fn is_protected_port(&self, port: u16) -> bool {
        !self.allowed_networks.is_empty()
            && self.protected.iter().any(|protected| protected.port() == port)
    }

    /// The same policy without its allowed networks.
    #[must_use]
    pub(crate) fn public_only(&self) -> Self {
        Self { allowed_networks: Vec::new(), ..self.clone() }
    }

    fn check_socket(&self, socket: SocketAddr) -> Result<(), EndpointRefusal> {
        if self.protected.iter().any(|protected| protected.covers(socket)) {
            return Err(EndpointRefusal::Address);
        }
        self.check_address(socket.ip())
    }

    fn is_allowed(&self, address: IpAddr) -> bool {
        self.allowed_networks.iter().any(|net| net.contains(&address.to_canonical()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(policy: &EndpointPolicy, text: &str) -> Result<(), EndpointRefusal> {
        policy.check_url(&EndpointUrl::parse(text)?)
    }

    #[test]
    fn a_url_over_2048_characters_is_refused_even_if_only_its_normal_form_is() {
        let long = format!("https://example.com/{}", "a".repeat(2029));
        assert_eq!(check(&EndpointPolicy::default(), &long), Err(EndpointRefusal::Length));
        assert_eq!(check(&EndpointPolicy::default(), &long[..2048]), Ok(()));
        let spaces = format!("https://example.com/{}", " a".repeat(900));
        assert_eq!(check(&EndpointPolicy::default(), &spaces), Err(EndpointRefusal::Length));
    }

    /// Allows everything except `protected`.
    fn open(protected: &[Protected]) -> EndpointPolicy {
        EndpointPolicy {
            allow_http: true,
            allowed_networks: vec!["0.0.0.0/0".parse().unwrap(), "::/0".parse().unwrap()],
            protected: protected.to_vec(),
        }
    }

    fn socket(text: &str) -> Protected {
        Protected::from(text.parse::<SocketAddr>().unwrap())
    }

    fn assert_each<const N: usize>(
        policy: &EndpointPolicy,
        expected: Result<(), EndpointRefusal>,
        texts: [&str; N],
    ) {
        for text in texts {
            assert_eq!(check(policy, text), expected, "{text}");
        }
    }

    #[test]
    fn a_protected_socket_is_refused_in_every_spelling_and_its_neighbours_are_not() {
        let spellings = [
            "http://127.0.0.1:9001/",
            "http://127.9.9.9:9001/",
            "http://2130706433:9001/",
            "http://[::1]:9001/",
            "http://[::ffff:127.0.0.1]:9001/",
            "http://[::127.0.0.1]:9001/",
            "http://[::ffff:0:127.0.0.1]:9001/",
            "http://[64:ff9b::127.0.0.1]:9001/",
            "http://[64:ff9b:1::127.0.0.1]:9001/",
            "http://[2002:7f00:1::]:9001/",
            "http://[2001:0:4136:e378:8000:63bf:80ff:fffe]:9001/",
        ];
        let neighbours =
            ["http://127.0.0.1:9002/", "http://10.0.0.1:9001/", "http://[fd00::1]:9001/"];
        for own in ["127.0.0.1:9001", "[::1]:9001", "[::ffff:127.0.0.1]:9001"] {
            assert_each(&open(&[socket(own)]), Err(EndpointRefusal::Address), spellings);
            assert_each(&open(&[socket(own)]), Ok(()), neighbours);
        }
    }

    #[test]
    fn a_protected_port_is_refused_on_every_address_that_is_not_public() {
        for policy in [open(&[Protected::Port(4566)]), open(&[socket("0.0.0.0:4566")])] {
            let private = [
                "http://127.0.0.1:4566/",
                "http://[::1]:4566/",
                "http://10.0.0.1:4566/",
                "http://169.254.170.2:4566/",
                "http://[fd00::1]:4566/",
                "http://[::ffff:10.0.0.1]:4566/",
                "http://[64:ff9b::10.0.0.1]:4566/",
                "http://[2002:a00:1::]:4566/",
            ];
            assert_each(&policy, Err(EndpointRefusal::Address), private);
            let other =
                ["http://1.1.1.1:4566/", "http://[2606:4700::1]:4566/", "http://127.0.0.1:4567/"];
            assert_each(&policy, Ok(()), other);
        }
    }

    #[test]
    fn a_protected_public_address_is_refused_in_a_url_and_from_dns() {
        let policy = open(&[socket("1.1.1.1:4566")]);
        let refused = ["http://1.1.1.1:4566/", "http://[64:ff9b::1.1.1.1]:4566/"];
        assert_each(&policy, Err(EndpointRefusal::Address), refused);
        for (address, expected) in [("1.1.1.1", Err(EndpointRefusal::Address)), ("1.0.0.1", Ok(()))]
        {
            assert_eq!(policy.check_address(address.parse().unwrap()), expected, "{address}");
        }
    }

    #[test]
    fn on_a_protected_port_a_name_may_resolve_only_to_public_addresses() {
        let policy = open(&[socket("127.0.0.1:9001"), Protected::Port(4566)]);
        let check_resolved =
            |port, address: &str| policy.for_port(port).check_address(address.parse().unwrap());
        for port in [9001, 4566] {
            assert_each(&policy, Ok(()), [&format!("http://name.example:{port}/")]);
            assert_eq!(check_resolved(port, "1.1.1.1"), Ok(()));
            for private in ["127.0.0.1", "10.0.0.1", "::1", "::ffff:127.0.0.1", "64:ff9b::7f00:1"] {
                assert_eq!(
                    check_resolved(port, private),
                    Err(EndpointRefusal::Address),
                    "{private}"
                );
            }
        }
        assert_eq!(check_resolved(9002, "127.0.0.1"), Ok(()));
    }

    #[test]
    fn the_unspecified_address_is_refused_even_if_every_network_is_allowed() {
        let policy = open(&[socket("127.0.0.1:9001")]);
        assert_each(&policy, Ok(()), ["http://127.0.0.1:9002/"]);
        let refused = [
            "http://0.0.0.0:9001/",
            "http://0:9001/",
            "http://[::]:9001/",
            "http://[::ffff:0:0]/",
            "http://[64:ff9b::]/",
        ];
        assert_each(&policy, Err(EndpointRefusal::Address), refused);
    }

    #[test]
    fn debug_shows_no_path_and_no_query() {
        let url = EndpointUrl::parse("https://example.com/hook/token?key=1").unwrap();
        assert_eq!(format!("{url:?}"), "https://example.com");
    }
}
