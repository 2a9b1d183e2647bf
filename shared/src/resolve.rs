//! Resolves a host name to addresses that may be dialled.
//!
//! The rule: one forbidden address refuses the whole answer. Otherwise an attacker's name server could add one
//! and wait until the client picks it.

use std::io;
use std::net::IpAddr;
use std::sync::Arc;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;

use crate::endpoint::{EndpointPolicy, EndpointRefusal};

/// Looks up a name's addresses. Tests pass their own.
pub type Lookup = Arc<dyn Fn(String) -> BoxFuture<'static, io::Result<Vec<IpAddr>>> + Send + Sync>;

/// Why [`resolve`] returned no addresses.
#[derive(Debug, thiserror::Error)]
pub enum ResolveError {
    /// The answer contains an address that may not be dialled.
    #[error(transparent)]
    Refused(#[from] EndpointRefusal),
    /// The lookup failed or found no address.
    #[error("the name cannot be resolved")]
    Unresolved(#[source] io::Error),
}

/// The machine's resolver (`/etc/hosts`, `/etc/resolv.conf`), without its search domains: one could turn a
/// public name into a name of the local network.
///
/// It finds a name with several labels in `/etc/hosts` only if the entry ends with a dot.
#[must_use]
pub fn system() -> Lookup {
    Arc::new(|name| {
        async move {
            let sockets = tokio::net::lookup_host((absolute(name), 0)).await?;
            Ok(sockets.map(|socket| socket.ip()).collect())
        }
        .boxed()
    })
}

/// Adds a final dot to `name`, which turns search domains off.
///
/// Leaves a single label such as `localhost` unchanged: the public DNS has no addresses for those.
fn absolute(mut name: String) -> String {
    if name.contains('.') && !name.ends_with('.') {
        name.push('.');
    }
    name
}

/// Returns the addresses of `name`, all of them allowed by `policy`, which must come from
/// [`EndpointPolicy::for_port`].
pub async fn resolve(
    lookup: &Lookup,
    policy: &EndpointPolicy,
    name: &str,
) -> Result<Vec<IpAddr>, ResolveError> {
    let addresses = lookup(name.to_owned()).await.map_err(ResolveError::Unresolved)?;
    if addresses.is_empty() {
        return Err(ResolveError::Unresolved(io::ErrorKind::NotFound.into()));
    }
    for address in &addresses {
        policy.check_address(*address)?;
    }
    Ok(addresses)
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, Ipv6Addr};

    use super::*;

    /// Answers every lookup with these addresses.
    fn resolving_to(addresses: &[&str]) -> Lookup {
        let addresses: Vec<IpAddr> = addresses.iter().map(|text| text.parse().unwrap()).collect();
        Arc::new(move |_| {
            let addresses = addresses.clone();
            async move { Ok(addresses) }.boxed()
        })
    }

    #[test]
    fn a_name_with_several_labels_is_looked_up_as_absolute() {
        for (name, asked) in [
            ("example.com", "example.com."),
            ("example.com.", "example.com."),
            ("a.localhost", "a.localhost."),
            ("localhost", "localhost"),
            ("localhost.", "localhost."),
            ("hooks", "hooks"),
        ] {
            assert_eq!(absolute(name.to_owned()), asked);
        }
    }

    #[tokio::test]
    async fn localhost_resolves_to_loopback() {
        let addresses = system()("localhost".to_owned()).await.unwrap();
        assert!(
            addresses.iter().all(IpAddr::is_loopback) && !addresses.is_empty(),
            "{addresses:?}"
        );
    }

    async fn is_resolved(addresses: &[&str]) -> bool {
        resolve(&resolving_to(addresses), &EndpointPolicy::default(), "example.com").await.is_ok()
    }

    #[tokio::test]
    async fn an_answer_of_public_addresses_is_returned_whole() {
        let addresses = ["1.1.1.1", "2606:4700:4700::1111"];
        let resolved =
            resolve(&resolving_to(&addresses), &EndpointPolicy::default(), "example.com")
                .await
                .unwrap();
        assert_eq!(resolved, addresses.map(|text| text.parse::<IpAddr>().unwrap()));
    }

    #[tokio::test]
    async fn one_forbidden_address_in_any_position_refuses_the_whole_answer() {
        for forbidden in
            ["127.0.0.1", "10.0.0.1", "169.254.100.1", "::1", "::ffff:127.0.0.1", "64:ff9b::a00:1"]
        {
            assert!(!is_resolved(&[forbidden]).await, "{forbidden}");
            assert!(!is_resolved(&[forbidden, "1.1.1.1"]).await, "{forbidden} first");
            assert!(!is_resolved(&["1.1.1.1", "1.0.0.1", forbidden]).await, "{forbidden} last");
        }
    }

    #[tokio::test]
    async fn an_empty_answer_is_an_error() {
        assert!(!is_resolved(&[]).await);
    }

    /// Decides with the standard library instead of our table; it knows fewer special networks.
    fn std_knows_as_private(address: IpAddr) -> bool {
        match address {
            IpAddr::V4(v4) => {
                v4.is_private()
                    || v4.is_loopback()
                    || v4.is_link_local()
                    || v4.is_broadcast()
                    || v4.is_documentation()
                    || v4.is_multicast()
                    || v4.is_unspecified()
            }
            IpAddr::V6(v6) => {
                let embedded = v6.to_ipv4().or_else(|| {
                    let [0x64, 0xff9b, 0, 0, 0, 0, ..] = v6.segments() else { return None };
                    let [.., a, b, c, d] = v6.octets();
                    Some(Ipv4Addr::new(a, b, c, d))
                });
                v6.is_loopback()
                    || v6.is_unspecified()
                    || v6.is_multicast()
                    || v6.is_unique_local()
                    || v6.is_unicast_link_local()
                    || embedded.is_some_and(|v4| std_knows_as_private(v4.into()))
            }
        }
    }

    /// A random IPv4 address, and an IPv6 address that embeds it or is random too.
    fn random_answer() -> [IpAddr; 2] {
        let mut bytes = [0; 17];
        getrandom::fill(&mut bytes).unwrap();
        let [kind, rest @ ..] = bytes;
        let v4 = Ipv4Addr::new(rest[0], rest[1], rest[2], rest[3]);
        let v6 = match kind % 4 {
            0 => v4.to_ipv6_mapped(),
            1 => v4.to_ipv6_compatible(),
            2 => Ipv6Addr::from((0x0064_ff9b << 96) | u128::from(u32::from(v4))),
            _ => Ipv6Addr::from(rest),
        };
        [v4.into(), v6.into()]
    }

    #[tokio::test]
    async fn no_returned_address_is_private_according_to_the_standard_library() {
        let mut returned = 0;
        for _ in 0..20_000 {
            let answer = random_answer();
            let lookup: Lookup = Arc::new(move |_| async move { Ok(answer.to_vec()) }.boxed());
            if let Ok(addresses) = resolve(&lookup, &EndpointPolicy::default(), "x").await {
                returned += addresses.len();
                assert!(!addresses.into_iter().any(std_knows_as_private), "{answer:?}");
            }
        }
        assert!(returned > 1000, "only {returned} random addresses were returned");
    }
}
