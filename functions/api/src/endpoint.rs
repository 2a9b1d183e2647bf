//! Where an endpoint's name leads, asked when it is registered.
//!
//! The rule: a name with any forbidden address is refused, and a name without an answer is not; the
//! sender asks again at every attempt.

use std::time::Duration;

use tokio::net::lookup_host;
use tokio::time::timeout;

use webhooks::endpoint::{EndpointPolicy, EndpointRefusal, EndpointUrl};

/// How long a name may take to resolve.
const LOOKUP_TIMEOUT: Duration = Duration::from_secs(2);

/// Refuses `url` if its host is a name that resolves to an address which `policy` forbids.
///
/// An address in the URL itself never gets here by way of DNS: [`EndpointPolicy::check_url`] judges it.
pub async fn check_name(url: &EndpointUrl, policy: &EndpointPolicy) -> Result<(), EndpointRefusal> {
    let url = url.as_url();
    let (Some(name), Some(port)) = (url.domain(), url.port_or_known_default()) else {
        return Ok(());
    };
    let Ok(Ok(mut addresses)) = timeout(LOOKUP_TIMEOUT, lookup_host((name, port))).await else {
        return Ok(());
    };
    addresses.try_for_each(|address| policy.check_address(address.ip()))
}
