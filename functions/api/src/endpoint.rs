//! The DNS check of an endpoint's host name when a webhook is created or updated.
//!
//! The rule: refuse a name that resolves to any forbidden address; accept one that does not resolve. The
//! sender checks again at every attempt.

use std::time::Duration;

use tokio::time::timeout;

use webhooks::endpoint::{EndpointPolicy, EndpointRefusal, EndpointUrl};
use webhooks::resolve::{Lookup, ResolveError, resolve, system};

/// After this time a name counts as unresolved.
const LOOKUP_TIMEOUT: Duration = Duration::from_secs(2);

/// Refuses `url` if its host is a name that resolves to an address which `policy` forbids.
///
/// [`EndpointPolicy::check_url`] checks an IP address in the URL itself.
pub(crate) async fn check_name(
    url: &EndpointUrl,
    policy: &EndpointPolicy,
) -> Result<(), EndpointRefusal> {
    check_name_with(&system(), url, policy).await
}

async fn check_name_with(
    lookup: &Lookup,
    url: &EndpointUrl,
    policy: &EndpointPolicy,
) -> Result<(), EndpointRefusal> {
    let Some(name) = url.as_url().domain() else { return Ok(()) };
    let policy = policy.for_port(url.port());
    match timeout(LOOKUP_TIMEOUT, resolve(lookup, &policy, name)).await {
        Ok(Err(ResolveError::Refused(refusal))) => Err(refusal),
        Ok(Ok(_) | Err(ResolveError::Unresolved(_))) | Err(_) => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;
    use std::sync::Arc;
    use std::time::Instant;

    use webhooks::endpoint::Protected;

    use super::*;

    async fn check(lookup: Lookup) -> Result<(), EndpointRefusal> {
        let url = EndpointUrl::parse("https://name.example/").unwrap();
        check_name_with(&lookup, &url, &EndpointPolicy::default()).await
    }

    fn resolving_to(addresses: &[&str]) -> Lookup {
        let addresses: Vec<IpAddr> = addresses.iter().map(|text| text.parse().unwrap()).collect();
        Arc::new(move |_| {
            let addresses = addresses.clone();
            Box::pin(async move { Ok(addresses) })
        })
    }

    #[tokio::test]
    async fn a_name_with_any_forbidden_address_is_refused() {
        assert_eq!(check(resolving_to(&["1.1.1.1"])).await, Ok(()));
        for addresses in [&["10.0.0.1"][..], &["1.1.1.1", "::1"], &["fe80::1", "1.1.1.1"]] {
            assert_eq!(check(resolving_to(addresses)).await, Err(EndpointRefusal::Address));
        }
    }

    #[tokio::test]
    async fn on_a_protected_port_a_name_may_not_resolve_into_an_allowed_network() {
        let policy = EndpointPolicy {
            allowed_networks: vec!["127.0.0.0/8".parse().unwrap()],
            protected: vec![Protected::Port(4566)],
            ..EndpointPolicy::default()
        };
        for (port, address, expected) in [
            (4566, "127.0.0.1", Err(EndpointRefusal::Address)),
            (4566, "1.1.1.1", Ok(())),
            (4567, "127.0.0.1", Ok(())),
        ] {
            let url = EndpointUrl::parse(&format!("https://name.example:{port}/")).unwrap();
            let result = check_name_with(&resolving_to(&[address]), &url, &policy).await;
            assert_eq!(result, expected, "{address}:{port}");
        }
    }

    #[tokio::test]
    async fn an_unresolved_name_is_accepted_after_two_seconds() {
        assert_eq!(check(resolving_to(&[])).await, Ok(()));
        let started = Instant::now();
        assert_eq!(check(Arc::new(|_| Box::pin(std::future::pending()))).await, Ok(()));
        assert!(started.elapsed() >= LOOKUP_TIMEOUT);
    }
}
