//! Where an endpoint's name leads, asked when it is registered.
//!
//! The rule: a name with any forbidden address is refused, and a name without an answer is not; the
//! sender asks again at every attempt.

use std::time::Duration;

use tokio::time::timeout;

use webhooks::endpoint::{EndpointPolicy, EndpointRefusal, EndpointUrl};
use webhooks::resolve::{ResolveError, resolve, system};

/// How long a name may take to resolve.
const LOOKUP_TIMEOUT: Duration = Duration::from_secs(2);

/// Refuses `url` if its host is a name that resolves to an address which `policy` forbids.
///
/// An address in the URL itself never gets here by way of DNS: [`EndpointPolicy::check_url`] judges it.
pub async fn check_name(url: &EndpointUrl, policy: &EndpointPolicy) -> Result<(), EndpointRefusal> {
    let Some(name) = url.as_url().domain() else { return Ok(()) };
    match timeout(LOOKUP_TIMEOUT, resolve(&system(), policy, name)).await {
        Ok(Err(ResolveError::Refused(refusal))) => Err(refusal),
        Ok(Ok(_) | Err(ResolveError::Unresolved(_))) | Err(_) => Ok(()),
    }
}
