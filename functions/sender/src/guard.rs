//! The settings of the HTTP client that posts to endpoints, and the resolver that keeps it on the public
//! internet.
//!
//! The rule: the client connects only to addresses that were checked. Each name is resolved once per
//! connection, here, and one forbidden address refuses the whole answer. An address literal in a URL never
//! reaches a resolver; [`EndpointPolicy::check_url`] checks it beforehand.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::{redirect, retry};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::{self, PemObject};
use webhooks::endpoint::EndpointPolicy;
use webhooks::resolve::{Lookup, resolve};
use webhooks::tls;

use crate::phases::{self, ConnectLayer};

/// Time limit for connecting, TLS handshake included, over all addresses of a name. Each address of a family
/// gets an equal share, and the other family is tried after 300 ms, so that an address that does not answer
/// leaves time for the others.
pub(crate) const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// Node and Apache close an idle connection after 5 s, possibly while the next request is on its way.
const IDLE_CONNECTION_LIFE: Duration = Duration::from_secs(4);

/// Maximum header lines of a response. hyper's default is 100.
const MAX_HEADERS: usize = 512;

pub(crate) const USER_AGENT: &str = concat!("DocIntell-Webhooks/", env!("CARGO_PKG_VERSION"));

/// Why the certificates in `EXTRA_CA_FILE` cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ExtraCaError {
    /// The file is missing, or contains no certificate in PEM.
    #[error(
        "parameter ExtraCaFile (environment variable EXTRA_CA_FILE) is wrong: cannot read PEM certificates from {path}"
    )]
    Unreadable {
        /// Value of `EXTRA_CA_FILE`.
        path: PathBuf,
        /// The error from reading or parsing the file.
        #[source]
        source: pem::Error,
    },
    /// A certificate in the file cannot be a trust anchor.
    #[error(
        "parameter ExtraCaFile (environment variable EXTRA_CA_FILE) is wrong: a certificate in the file cannot be a \
         trust anchor"
    )]
    Untrusted(#[from] rustls::Error),
}

/// A client's settings: HTTP/1.1 without proxy, cookies or compression, through the guarded resolver. The
/// client does not retry, because attempts are counted elsewhere. It accepts malformed headers, because only
/// the status of a response matters.
pub fn builder(
    policy: EndpointPolicy,
    lookup: &Lookup,
    tls: &rustls::ClientConfig,
) -> reqwest::ClientBuilder {
    let (policy, lookup) = (Arc::new(policy), Arc::clone(lookup));
    reqwest::Client::builder()
        .tls_backend_preconfigured(tls.clone())
        .http1_only()
        .http1_max_headers(MAX_HEADERS)
        .http1_allow_obsolete_multiline_headers_in_responses(true)
        .http1_allow_spaces_after_header_name_in_responses(true)
        .http1_ignore_invalid_headers_in_responses(true)
        .redirect(redirect::Policy::none())
        // Without this limit reqwest copies each request for a retry that never comes.
        .retry(retry::never().max_retries_per_request(0))
        .no_proxy()
        .referer(false)
        .dns_resolver(Arc::new(GuardedResolver { policy, lookup }))
        .connector_layer(ConnectLayer)
        .connect_timeout(CONNECT_TIMEOUT)
        .pool_idle_timeout(IDLE_CONNECTION_LIFE)
        .user_agent(USER_AGENT)
}

/// A TLS configuration that trusts the public certificate authorities and those in `extra_ca_file` (PEM).
pub fn tls(extra_ca_file: Option<&Path>) -> Result<rustls::ClientConfig, ExtraCaError> {
    let mut authorities = tls::public_authorities();
    if let Some(path) = extra_ca_file {
        let unreadable = |source| ExtraCaError::Unreadable { path: path.to_owned(), source };
        let public = authorities.len();
        for certificate in CertificateDer::pem_file_iter(path).map_err(unreadable)? {
            authorities.add(certificate.map_err(unreadable)?)?;
        }
        // A file without certificates would go unnoticed until every delivery fails.
        if authorities.len() == public {
            return Err(unreadable(pem::Error::NoItemsFound));
        }
    }
    Ok(tls::client(authorities))
}

/// Resolves a name to allowed addresses only, or fails.
struct GuardedResolver {
    policy: Arc<EndpointPolicy>,
    lookup: Lookup,
}

impl Resolve for GuardedResolver {
    fn resolve(&self, name: Name) -> Resolving {
        let (policy, lookup) = (Arc::clone(&self.policy), Arc::clone(&self.lookup));
        Box::pin(async move {
            let addresses = phases::resolving(resolve(&lookup, &policy, name.as_str())).await?;
            // The client replaces port 0 with the URL's port.
            Ok(Box::new(addresses.into_iter().map(|address| SocketAddr::new(address, 0))) as Addrs)
        })
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;
    use tokio::net::TcpListener;
    use tokio::time::timeout;
    use webhooks::resolve::ResolveError;

    use super::*;
    use crate::attempt::ATTEMPT_TIMEOUT;
    use crate::failure::Failure;
    use crate::test_network::{answers, be_silent, loopback, pairs, refusal, serve, two_sockets};

    fn client(policy: EndpointPolicy, lookup: &Lookup) -> reqwest::Client {
        builder(policy, lookup, &tls(None).unwrap()).build().unwrap()
    }

    #[tokio::test]
    async fn a_name_that_changes_from_public_to_loopback_is_not_dialled() {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let url = format!("https://rebinding.example:{}/", listener.local_addr().unwrap().port());
        let policy = EndpointPolicy::default();
        let lookup = answers(&[&["1.1.1.1"], &["127.0.0.1"], &["1.1.1.1", "127.0.0.1"]]);
        resolve(&lookup, &policy, "rebinding.example").await.unwrap();

        let client = client(policy, &lookup);
        for _ in 0..2 {
            let error = client.post(&url).send().await.unwrap_err();
            assert!(matches!(refusal(&error), Some(ResolveError::Refused(_))), "{error:?}");
        }
        assert!(listener.accept().now_or_never().is_none(), "the client connected");
    }

    #[tokio::test]
    async fn the_checked_address_is_dialled() {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let url = format!("https://allowed.example:{}/", listener.local_addr().unwrap().port());
        // A second lookup would fail.
        let client = client(loopback(), &answers(&[&["127.0.0.1"]]));
        tokio::spawn(client.post(&url).send());
        listener.accept().await.unwrap();
    }

    #[tokio::test]
    async fn a_silent_address_leaves_time_for_the_next_one_of_either_family() {
        for [silent, good] in pairs() {
            let (port, [first, second]) = two_sockets([silent, good]);
            let _silent = be_silent(first).await;
            serve(second);
            let client = client(loopback(), &answers(&[&[silent, good]]));
            let response = client.post(format!("http://two.example:{port}/")).send().await;
            assert_eq!(response.unwrap().status(), 200, "{silent}, then {good}");
        }
    }

    #[tokio::test]
    async fn a_name_whose_addresses_are_all_silent_fails_within_five_seconds() {
        let both = pairs()[0];
        let (port, [first, second]) = two_sockets(both);
        let _silent = [be_silent(first).await, be_silent(second).await];
        let client = client(loopback(), &answers(&[&both]));
        let request = client.post(format!("http://two.example:{port}/")).send();
        let failure = Failure::from(timeout(ATTEMPT_TIMEOUT, request).await.unwrap().unwrap_err());
        assert_eq!(failure.to_string(), "no connection within 5 s");
    }
}
