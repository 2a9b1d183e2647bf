//! Where an endpoint's name leads, asked when it is registered.
//!
//! The rule: a name with any forbidden address is refused, and a name without an answer is not; the
//! sender asks again at every attempt.

use std::time::Duration;

use tokio::time::timeout;

use webhooks::endpoint::{EndpointPolicy, EndpointRefusal, EndpointUrl};
use webhooks::resolve::{Lookup, ResolveError, resolve, system};

/// How long a name may take to resolve.
const LOOKUP_TIMEOUT: Duration = Duration::from_secs(2);

/// Refuses `url` if its host is a name that resolves to an address which `policy` forbids.
///
/// An address in the URL itself never gets here by way of DNS: [`EndpointPolicy::check_url`] judges it.
pub(crate) async fn check_name(
    url: &EndpointUrl,
    policy: &EndpointPolicy,
) -> Result<(), EndpointRefusal> {
    check_name_by(&system(), url, policy).await
}

async fn check_name_by(
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

    async fn verdict(lookup: Lookup) -> Result<(), EndpointRefusal> {
        let url = EndpointUrl::parse("https://name.example/").unwrap();
        check_name_by(&lookup, &url, &EndpointPolicy::default()).await
    }

    fn answering(addresses: &[&str]) -> Lookup {
        let addresses: Vec<IpAddr> = addresses.iter().map(|text| text.parse().unwrap()).collect();
        Arc::new(move |_| {
            let addresses = addresses.clone();
            Box::pin(async move { Ok(addresses) })
        })
    }

    #[tokio::test]
    async fn a_name_with_any_forbidden_address_is_refused() {
        assert_eq!(verdict(answering(&["1.1.1.1"])).await, Ok(()));
        for addresses in [&["10.0.0.1"][..], &["1.1.1.1", "::1"], &["fe80::1", "1.1.1.1"]] {
            assert_eq!(verdict(answering(addresses)).await, Err(EndpointRefusal::Address));
        }
    }

    #[tokio::test]
    async fn at_a_protected_port_a_name_may_not_lead_into_an_allowed_network() {
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
            let verdict = check_name_by(&answering(&[address]), &url, &policy).await;
            assert_eq!(verdict, expected, "{address}:{port}");
        }
    }

    #[tokio::test]
    async fn a_name_without_an_answer_is_accepted_after_two_seconds() {
        assert_eq!(verdict(answering(&[])).await, Ok(()));
        let begun = Instant::now();
        assert_eq!(verdict(Arc::new(|_| Box::pin(std::future::pending()))).await, Ok(()));
        assert!(begun.elapsed() >= LOOKUP_TIMEOUT);
    }
}
