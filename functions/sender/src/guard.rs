//! The HTTP client that posts to endpoints, and the resolver that keeps it on the public internet.
//!
//! The rule: the address that was checked is the address that is dialled. A name is resolved once per
//! connection, here, and one forbidden address in the answer refuses all of it. Literal addresses never
//! reach a resolver; [`EndpointPolicy::check_url`] has judged them before.

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

/// Short, because an execution environment that was frozen wakes up with connections that are dead.
const IDLE_CONNECTION_LIFE: Duration = Duration::from_secs(5);

const USER_AGENT: &str = concat!("DocIntell-Webhooks/", env!("CARGO_PKG_VERSION"));

/// Why there can be no client.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The file that `EXTRA_CA_FILE` names.
    #[error("cannot read certificates in PEM from {path}, which EXTRA_CA_FILE names")]
    ExtraCa {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        #[source]
        source: pem::Error,
    },
    /// A certificate in that file that is not fit to be trusted.
    #[error("a certificate that EXTRA_CA_FILE names cannot be trusted")]
    Tls(#[from] rustls::Error),
    /// The client itself.
    #[error("the HTTP client cannot be built")]
    Http(#[from] reqwest::Error),
}

/// The one client of the process.
pub fn client(
    policy: Arc<EndpointPolicy>,
    lookup: Lookup,
    extra_ca_file: Option<&Path>,
) -> Result<reqwest::Client, ClientError> {
    Ok(builder(policy, lookup, extra_ca_file)?.build()?)
}

/// How the client is made: HTTP/1.1 without proxy, cookies or compression, through the guarded resolver. It
/// sends no request a second time by itself: what follows from an answer is decided where attempts are counted.
pub fn builder(
    policy: Arc<EndpointPolicy>,
    lookup: Lookup,
    extra_ca_file: Option<&Path>,
) -> Result<reqwest::ClientBuilder, ClientError> {
    Ok(reqwest::Client::builder()
        .tls_backend_preconfigured(tls(extra_ca_file)?)
        .http1_only()
        .redirect(redirect::Policy::none())
        // Without the limit each request is copied for the retry that never comes.
        .retry(retry::never().max_retries_per_request(0))
        .no_proxy()
        .referer(false)
        .dns_resolver(Arc::new(GuardedResolver { policy, lookup }))
        .pool_idle_timeout(IDLE_CONNECTION_LIFE)
        .user_agent(USER_AGENT))
}

/// Trusts the public certificate authorities, and those in PEM in `extra_ca_file`.
pub fn tls(extra_ca_file: Option<&Path>) -> Result<rustls::ClientConfig, ClientError> {
    let mut authorities = tls::public_authorities();
    if let Some(path) = extra_ca_file {
        let unreadable = |source| ClientError::ExtraCa { path: path.to_owned(), source };
        let public = authorities.len();
        for certificate in CertificateDer::pem_file_iter(path).map_err(unreadable)? {
            authorities.add(certificate.map_err(unreadable)?)?;
        }
        // A file without any would pass unnoticed until every delivery fails.
        if authorities.len() == public {
            return Err(unreadable(pem::Error::NoItemsFound));
        }
    }
    Ok(tls::client(authorities))
}

/// Resolves names to addresses that may be dialled, or to none.
struct GuardedResolver {
    policy: Arc<EndpointPolicy>,
    lookup: Lookup,
}

impl Resolve for GuardedResolver {
    fn resolve(&self, name: Name) -> Resolving {
        let (policy, lookup) = (Arc::clone(&self.policy), Arc::clone(&self.lookup));
        Box::pin(async move {
            let addresses = resolve(&lookup, &policy, name.as_str()).await?;
            // The client puts the URL's port in place of the zero.
            Ok(Box::new(addresses.into_iter().map(|address| SocketAddr::new(address, 0))) as Addrs)
        })
    }
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;
    use std::sync::Mutex;

    use futures_util::FutureExt as _;
    use tokio::net::TcpListener;
    use webhooks::resolve::ResolveError;

    use super::*;

    /// A name server that gives each answer once, in order.
    fn answers(list: &[&[&str]]) -> Lookup {
        let parse = |answer: &&[&str]| answer.iter().map(|text| text.parse().unwrap()).collect();
        let answers: Mutex<Vec<Vec<IpAddr>>> = Mutex::new(list.iter().rev().map(parse).collect());
        Arc::new(move |_| {
            let answer = answers.lock().unwrap().pop().unwrap_or_default();
            async move { Ok(answer) }.boxed()
        })
    }

    fn refusal<'a>(error: &'a (dyn std::error::Error + 'static)) -> Option<&'a ResolveError> {
        std::iter::successors(Some(error), |error| error.source())
            .find_map(|error| error.downcast_ref())
    }

    #[tokio::test]
    async fn a_name_that_was_public_when_it_was_checked_and_is_loopback_now_is_not_dialled() {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let url = format!("https://rebinding.example:{}/", listener.local_addr().unwrap().port());
        let policy = Arc::new(EndpointPolicy::default());
        let lookup = answers(&[&["1.1.1.1"], &["127.0.0.1"], &["1.1.1.1", "127.0.0.1"]]);
        resolve(&lookup, &policy, "rebinding.example").await.unwrap();

        let client = client(policy, lookup, None).unwrap();
        for _ in 0..2 {
            let error = client.post(&url).send().await.unwrap_err();
            assert!(matches!(refusal(&error), Some(ResolveError::Refused(_))), "{error:?}");
        }
        assert!(listener.accept().now_or_never().is_none(), "somebody has connected");
    }

    #[tokio::test]
    async fn the_address_that_was_checked_is_the_one_that_is_dialled() {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let url = format!("https://allowed.example:{}/", listener.local_addr().unwrap().port());
        let allowed_networks = vec!["127.0.0.0/8".parse().unwrap()];
        let policy = Arc::new(EndpointPolicy { allowed_networks, ..EndpointPolicy::default() });
        // A second look-up would find nothing.
        let client = client(policy, answers(&[&["127.0.0.1"]]), None).unwrap();
        tokio::spawn(client.post(&url).send());
        listener.accept().await.unwrap();
    }
}
