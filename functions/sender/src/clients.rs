//! The HTTP clients that post to endpoints.
//!
//! The rule: a client is replaced before its connections are a minute old, so that host names are resolved
//! again.

use std::borrow::Cow;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;
use webhooks::endpoint::{EndpointPolicy, EndpointUrl};
use webhooks::resolve::Lookup;

use crate::guard::builder;

/// How long a client accepts new requests. The last attempt can take 10 s more, so a connection lives at most
/// 60 s, and a changed DNS record takes effect within a minute.
const CLIENT_LIFE: Duration = Duration::from_secs(50);

pub(crate) struct EndpointClients {
    policy: Arc<EndpointPolicy>,
    lookup: Lookup,
    tls: rustls::ClientConfig,
    current: Mutex<Generation>,
}

/// Clients that are replaced together. Each is built when it is first needed.
struct Generation {
    began: Instant,
    open: Option<reqwest::Client>,
    /// For URLs with a protected port. A resolver does not see the port, so this client has its own.
    public_only: Option<reqwest::Client>,
}

impl Generation {
    fn new(now: Instant) -> Self {
        Self { began: now, open: None, public_only: None }
    }
}

impl EndpointClients {
    /// Clients that resolve names with `lookup`, check addresses against `policy`, and trust what `tls` trusts.
    pub(crate) fn new(
        policy: Arc<EndpointPolicy>,
        lookup: Lookup,
        tls: rustls::ClientConfig,
    ) -> Self {
        let current = Mutex::new(Generation::new(Instant::now()));
        Self { policy, lookup, tls, current }
    }

    /// The client for a request to `url` that begins at `now`.
    pub(crate) fn client(
        &self,
        url: &EndpointUrl,
        now: Instant,
    ) -> Result<reqwest::Client, reqwest::Error> {
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        if now.saturating_duration_since(current.began) >= CLIENT_LIFE {
            *current = Generation::new(now);
        }
        let policy = self.policy.for_port(url.port());
        let client = match policy {
            Cow::Borrowed(_) => &mut current.open,
            Cow::Owned(_) => &mut current.public_only,
        };
        if let Some(client) = client {
            return Ok(client.clone());
        }
        let new = builder(policy.into_owned(), &self.lookup, &self.tls).build()?;
        Ok(client.insert(new).clone())
    }
}

impl fmt::Debug for EndpointClients {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EndpointClients").field("policy", &self.policy).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;
    use tokio::net::TcpListener;
    use webhooks::endpoint::Protected;
    use webhooks::resolve::ResolveError;

    use super::*;
    use crate::guard::tls;
    use crate::test_network::{answers, loopback, pairs, refusal, serve, two_sockets};

    #[tokio::test]
    async fn a_connection_lives_less_than_a_minute_and_then_the_name_is_resolved_again() {
        let [before, after] = pairs()[0];
        let (port, [old, new]) = two_sockets([before, after]);
        serve(old);
        serve(new);
        let lookup = answers(&[&[before], &[after]]);
        let clients = EndpointClients::new(Arc::new(loopback()), lookup, tls(None).unwrap());
        let url = EndpointUrl::parse(&format!("http://moves.example:{port}/")).unwrap();
        let begun = Instant::now();
        for (seconds, expected) in [(0, before), (49, before), (51, after)] {
            let client = clients.client(&url, begun + Duration::from_secs(seconds)).unwrap();
            let response = client.post(url.as_str()).send().await;
            let address = response.unwrap().remote_addr().unwrap();
            assert_eq!(address.ip().to_string(), expected, "after {seconds} s");
        }
    }

    #[tokio::test]
    async fn a_protected_port_is_dialled_only_on_public_addresses() {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let policy = EndpointPolicy { protected: vec![Protected::Port(port)], ..loopback() };
        let lookup = answers(&[&["127.0.0.1"], &["127.0.0.1"]]);
        let clients = EndpointClients::new(Arc::new(policy), lookup, tls(None).unwrap());
        let url = EndpointUrl::parse(&format!("http://name.example:{port}/")).unwrap();
        let client = clients.client(&url, Instant::now()).unwrap();
        let error = client.post(url.as_str()).send().await.unwrap_err();
        assert!(matches!(refusal(&error), Some(ResolveError::Refused(_))), "{error:?}");
        assert!(listener.accept().now_or_never().is_none(), "the client connected");
    }
}
