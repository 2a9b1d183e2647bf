//! From a host's name to addresses that may be dialled.
//!
//! The rule: one forbidden address in an answer refuses all of it. An attacker's name server could
//! otherwise mix one in and wait for it to be picked.

use std::io;
use std::net::IpAddr;
use std::sync::Arc;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;

use crate::endpoint::{EndpointPolicy, EndpointRefusal};

/// Asks for a name's addresses. An argument, so that a test can play the name server.
pub type Lookup = Arc<dyn Fn(String) -> BoxFuture<'static, io::Result<Vec<IpAddr>>> + Send + Sync>;

/// Why a name leads nowhere.
#[derive(Debug, thiserror::Error)]
pub enum ResolveError {
    /// An address in the answer may not be dialled.
    #[error(transparent)]
    Refused(#[from] EndpointRefusal),
    /// There is no answer, or an empty one.
    #[error("the name cannot be resolved")]
    Unresolved(#[source] io::Error),
}

/// The machine's own resolver, as `/etc/hosts` and `/etc/resolv.conf` set it up, but for the search domains:
/// with those a name of the internet could become one of the machine's own network.
///
/// In `/etc/hosts` a name of several labels is found only with a dot at its end.
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

/// `name` with a dot at its end, which keeps search domains away.
///
/// A single label such as `localhost` stays as it is: the public DNS has no addresses for those.
fn absolute(mut name: String) -> String {
    if name.contains('.') && !name.ends_with('.') {
        name.push('.');
    }
    name
}

/// The addresses of `name`, every one of which `policy` lets be dialled; [`EndpointPolicy::for_port`] says
/// which policy that has to be.
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

    /// A name server with one answer for everything.
    fn answering(addresses: &[&str]) -> Lookup {
        let addresses: Vec<IpAddr> = addresses.iter().map(|text| text.parse().unwrap()).collect();
        Arc::new(move |_| {
            let addresses = addresses.clone();
            async move { Ok(addresses) }.boxed()
        })
    }

    #[test]
    fn a_name_of_several_labels_is_looked_up_as_an_absolute_one() {
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
    async fn this_machine_is_found_by_its_name() {
        let addresses = system()("localhost".to_owned()).await.unwrap();
        assert!(
            addresses.iter().all(IpAddr::is_loopback) && !addresses.is_empty(),
            "{addresses:?}"
        );
    }

    async fn is_resolved(addresses: &[&str]) -> bool {
        resolve(&answering(addresses), &EndpointPolicy::default(), "example.com").await.is_ok()
    }

    #[tokio::test]
    async fn an_answer_of_public_addresses_is_passed_on_whole() {
        let addresses = ["1.1.1.1", "2606:4700:4700::1111"];
        let passed = resolve(&answering(&addresses), &EndpointPolicy::default(), "example.com")
            .await
            .unwrap();
        assert_eq!(passed, addresses.map(|text| text.parse::<IpAddr>().unwrap()));
    }

    #[tokio::test]
    async fn one_forbidden_address_refuses_the_whole_answer_wherever_it_stands() {
        for forbidden in
            ["127.0.0.1", "10.0.0.1", "169.254.100.1", "::1", "::ffff:127.0.0.1", "64:ff9b::a00:1"]
        {
            assert!(!is_resolved(&[forbidden]).await, "{forbidden}");
            assert!(!is_resolved(&[forbidden, "1.1.1.1"]).await, "{forbidden} first");
            assert!(!is_resolved(&["1.1.1.1", "1.0.0.1", forbidden]).await, "{forbidden} last");
        }
    }

    #[tokio::test]
    async fn an_empty_answer_leads_nowhere() {
        assert!(!is_resolved(&[]).await);
    }

    /// Judges by the standard library instead of by our table, as far as that goes.
    fn is_plainly_not_public(address: IpAddr) -> bool {
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
                let carried = v6.to_ipv4().or_else(|| {
                    let [0x64, 0xff9b, 0, 0, 0, 0, ..] = v6.segments() else { return None };
                    let [.., a, b, c, d] = v6.octets();
                    Some(Ipv4Addr::new(a, b, c, d))
                });
                v6.is_loopback()
                    || v6.is_unspecified()
                    || v6.is_multicast()
                    || v6.is_unique_local()
                    || v6.is_unicast_link_local()
                    || carried.is_some_and(|v4| is_plainly_not_public(v4.into()))
            }
        }
    }

    /// Any IPv4 address, and an IPv6 address that is any or carries the other.
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
    async fn no_address_that_is_passed_on_is_one_that_the_standard_library_knows_as_not_public() {
        let mut passed = 0;
        for _ in 0..20_000 {
            let answer = random_answer();
            let lookup: Lookup = Arc::new(move |_| async move { Ok(answer.to_vec()) }.boxed());
            if let Ok(addresses) = resolve(&lookup, &EndpointPolicy::default(), "x").await {
                passed += addresses.len();
                assert!(!addresses.into_iter().any(is_plainly_not_public), "{answer:?}");
            }
        }
        assert!(passed > 1000, "a good part of random addresses is public");
    }
}
