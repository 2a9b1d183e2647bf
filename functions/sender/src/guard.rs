//! The HTTP client that posts to endpoints, and the resolver that keeps it on the public internet.
//!
//! The rule: the address that was checked is the address that is dialled. A name is resolved once per
//! connection, here, and one forbidden address in the answer refuses all of it. Literal addresses never
//! reach a resolver; [`EndpointPolicy::check_url`] has judged them before.

use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::redirect;
use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::{self, PemObject};
use webhooks::endpoint::{EndpointPolicy, EndpointRefusal};

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
    /// A certificate in that file that is not fit to be trusted, or a TLS setup that cannot be.
    #[error("TLS cannot be set up")]
    Tls(#[from] rustls::Error),
    /// The client itself.
    #[error("the HTTP client cannot be built")]
    Http(#[from] reqwest::Error),
}

/// Why a name leads nowhere; found in the causes of a failed request.
#[derive(Debug, thiserror::Error)]
pub enum ResolveError {
    /// An address in the answer may not be dialled.
    #[error(transparent)]
    Refused(#[from] EndpointRefusal),
    /// There is no answer, or an empty one.
    #[error("the name cannot be resolved")]
    Unresolved(#[source] io::Error),
}

/// The one client of the process. No redirects, no proxy, no cookies, no compression, HTTP/1.1.
pub fn client(
    policy: Arc<EndpointPolicy>,
    extra_ca_file: Option<&Path>,
) -> Result<reqwest::Client, ClientError> {
    Ok(reqwest::Client::builder()
        .tls_backend_preconfigured(tls(extra_ca_file)?)
        .http1_only()
        .dns_resolver(Arc::new(GuardedResolver(policy)))
        .redirect(redirect::Policy::none())
        .no_proxy()
        .referer(false)
        // The queue retries, where it is counted; the client must not do so unseen.
        .retry(reqwest::retry::never())
        .pool_idle_timeout(IDLE_CONNECTION_LIFE)
        .user_agent(USER_AGENT)
        .build()?)
}

fn tls(extra_ca_file: Option<&Path>) -> Result<rustls::ClientConfig, ClientError> {
    let mut roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
    if let Some(path) = extra_ca_file {
        let unreadable = |source| ClientError::ExtraCa { path: path.to_owned(), source };
        for certificate in CertificateDer::pem_file_iter(path).map_err(unreadable)? {
            roots.add(certificate.map_err(unreadable)?)?;
        }
    }
    let mut config = rustls::ClientConfig::builder_with_provider(
        rustls::crypto::ring::default_provider().into(),
    )
    .with_safe_default_protocol_versions()?
    .with_root_certificates(roots)
    .with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
}

/// Resolves names and lets only addresses through that may be dialled.
#[derive(Debug)]
struct GuardedResolver(Arc<EndpointPolicy>);

impl Resolve for GuardedResolver {
    fn resolve(&self, name: Name) -> Resolving {
        let policy = Arc::clone(&self.0);
        Box::pin(async move {
            let addresses: Vec<SocketAddr> = tokio::net::lookup_host((name.as_str(), 0))
                .await
                .map_err(ResolveError::Unresolved)?
                .collect();
            for address in &addresses {
                policy.check_address(address.ip()).map_err(ResolveError::Refused)?;
            }
            Ok(Box::new(addresses.into_iter()) as Addrs)
        })
    }
}
