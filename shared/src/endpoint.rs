//! An endpoint's URL, and the policy that says whether it may be called.
//!
//! The rule: a URL is a stranger's. It is judged when it is registered and again at every attempt, and
//! a refusal never says which range an address fell in.

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
pub(crate) use protected::read as read_protected;

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
    /// A control character, a tab, a line break or an invisible character; parsing a URL would drop some of them
    /// without a word.
    #[error("the URL must not contain tabs, line breaks, or other control or invisible characters")]
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

    /// The URL as it is stored and shown.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }

    /// The port that is dialled.
    ///
    /// # Panics
    ///
    /// Never: [`Self::parse`] takes http and https only.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.0.port_or_known_default().expect("http and https have one")
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
    /// What is never dialled, whatever is allowed: the Lambda Runtime API and its like.
    pub protected: Vec<Protected>,
}

impl EndpointPolicy {
    /// Judges all that the URL itself shows: scheme, port, and the host's name or IP address.
    ///
    /// Where a name leads is judged by [`Self::for_port`]'s policy once it is resolved.
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
            // The URL standard has more characters in names than DNS, TLS and HTTP have.
            Some(Host::Domain(name)) if DnsName::try_from(name).is_err() => {
                Err(EndpointRefusal::HostName)
            }
            Some(Host::Domain(_)) => Ok(()),
            None => Err(EndpointRefusal::Malformed),
        }
    }

    /// Judges an address that a name resolved to. [`Self::for_port`] says by which policy.
    pub fn check_address(&self, address: IpAddr) -> Result<(), EndpointRefusal> {
        let may_be_dialled = if address::is_public(address) {
            !self.protected.iter().any(|protected| protected.is_ours_in_public(address))
        } else {
            // To dial "no address" is to dial this machine: no network that is allowed can mean that, and
            // protected sockets are not known by it.
            self.is_allowed(address) && !address::translated(address).is_unspecified()
        };
        if may_be_dialled { Ok(()) } else { Err(EndpointRefusal::Address) }
    }

    /// The policy under which a name is resolved that is to be dialled at `port`.
    ///
    /// At a protected port a name may lead to public addresses only: inside of an allowed network it could
    /// lead to what is protected.
    #[must_use]
    pub fn for_port(&self, port: u16) -> Cow<'_, Self> {
        if self.is_protected_port(port) {
            Cow::Owned(self.public_only())
        } else {
            Cow::Borrowed(self)
        }
    }

    /// Whether [`Self::for_port`] is stricter than the policy itself.
    #[must_use]
    pub fn is_protected_port(&self, port: u16) -> bool {
        !self.allowed_networks.is_empty()
            && self.protected.iter().any(|protected| protected.port() == port)
    }

    /// The same policy without any network that is not public.
    #[must_use]
    pub fn public_only(&self) -> Self {
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

    /// A developer's machine on which everything is allowed but for what is protected.
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
            assert_eq!(judge(policy, text), expected, "{text}");
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
    fn a_public_address_of_ours_is_refused_whether_it_is_written_or_resolved() {
        let policy = open(&[socket("1.1.1.1:4566")]);
        let refused = ["http://1.1.1.1:4566/", "http://[64:ff9b::1.1.1.1]:4566/"];
        assert_each(&policy, Err(EndpointRefusal::Address), refused);
        for (address, verdict) in [("1.1.1.1", Err(EndpointRefusal::Address)), ("1.0.0.1", Ok(()))]
        {
            assert_eq!(policy.check_address(address.parse().unwrap()), verdict, "{address}");
        }
    }

    #[test]
    fn at_a_protected_port_a_name_may_lead_to_public_addresses_only() {
        let policy = open(&[socket("127.0.0.1:9001"), Protected::Port(4566)]);
        let verdict =
            |port, address: &str| policy.for_port(port).check_address(address.parse().unwrap());
        for port in [9001, 4566] {
            assert_each(&policy, Ok(()), [&format!("http://name.example:{port}/")]);
            assert_eq!(verdict(port, "1.1.1.1"), Ok(()));
            for private in ["127.0.0.1", "10.0.0.1", "::1", "::ffff:127.0.0.1", "64:ff9b::7f00:1"] {
                assert_eq!(verdict(port, private), Err(EndpointRefusal::Address), "{private}");
            }
        }
        assert_eq!(verdict(9002, "127.0.0.1"), Ok(()));
    }

    #[test]
    fn the_unspecified_address_stays_refused_when_everything_is_allowed() {
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
