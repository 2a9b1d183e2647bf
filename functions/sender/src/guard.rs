//! The connections to endpoints, and the resolver that keeps them on the public internet.
//!
//! The rule: the address that was checked is the address that is dialled. A name is resolved once per
//! connection, here, and one forbidden address in the answer refuses all of it. Literal addresses never
//! reach a resolver; [`EndpointPolicy::check_url`] has judged them before.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::vec;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::connect::dns::Name;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::{self, PemObject};
use tower_service::Service;
use webhooks::connections::{Connections, connector};
use webhooks::endpoint::EndpointPolicy;
use webhooks::resolve::{Lookup, ResolveError, resolve};
use webhooks::tls;

/// Why there can be no connections.
#[derive(Debug, thiserror::Error)]
pub enum TrustError {
    /// The file that `EXTRA_CA_FILE` names.
    #[error("cannot read certificates in PEM from {path}, which EXTRA_CA_FILE names")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        #[source]
        source: pem::Error,
    },
    /// A certificate in that file that is not fit to be trusted.
    #[error("a certificate that EXTRA_CA_FILE names cannot be trusted")]
    Unfit(#[from] rustls::Error),
}

/// The connections of the process to endpoints, all through the guarded resolver.
pub fn connections(
    policy: Arc<EndpointPolicy>,
    lookup: Lookup,
    extra_ca_file: Option<&Path>,
) -> Result<Connections, TrustError> {
    let tcp = HttpConnector::new_with_resolver(GuardedResolver { policy, lookup });
    Ok(Connections::new(connector(tcp, Arc::new(tls(extra_ca_file)?))))
}

/// Trusts the public certificate authorities, and those in PEM in `extra_ca_file`.
pub fn tls(extra_ca_file: Option<&Path>) -> Result<rustls::ClientConfig, TrustError> {
    let mut authorities = tls::public_authorities();
    if let Some(path) = extra_ca_file {
        let unreadable = |source| TrustError::Unreadable { path: path.to_owned(), source };
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
#[derive(Clone)]
struct GuardedResolver {
    policy: Arc<EndpointPolicy>,
    lookup: Lookup,
}

impl Service<Name> for GuardedResolver {
    type Response = vec::IntoIter<SocketAddr>;
    type Error = ResolveError;
    type Future = BoxFuture<'static, Result<Self::Response, ResolveError>>;

    fn poll_ready(&mut self, _context: &mut Context<'_>) -> Poll<Result<(), ResolveError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, name: Name) -> Self::Future {
        let (policy, lookup) = (Arc::clone(&self.policy), Arc::clone(&self.lookup));
        async move {
            let addresses = resolve(&lookup, &policy, name.as_str()).await?;
            // The connector puts the URL's port in place of the zero.
            let sockets = addresses.into_iter().map(|address| SocketAddr::new(address, 0));
            Ok(sockets.collect::<Vec<_>>().into_iter())
        }
        .boxed()
    }
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;
    use std::sync::Mutex;

    use bytes::Bytes;
    use hyper::Request;
    use tokio::net::TcpListener;

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

    fn post(url: &str) -> Request<Bytes> {
        Request::post(url).body(Bytes::new()).unwrap()
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

        let connections = connections(policy, lookup, None).unwrap();
        for _ in 0..2 {
            let error = connections.send(post(&url)).await.unwrap_err();
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
        let connections = connections(policy, answers(&[&["127.0.0.1"]]), None).unwrap();
        tokio::spawn(async move { connections.send(post(&url)).await.map(|_| ()) });
        listener.accept().await.unwrap();
    }
}
