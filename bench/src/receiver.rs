//! An endpoint that takes deliveries: it reads each post whole, waits as long as it is told, and answers.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use http_body_util::Full;
use hyper::header::{CONNECTION, HeaderValue};
use hyper::{Response, StatusCode};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use rustls::ServerConfig;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio_rustls::TlsAcceptor;
use webhooks::id::WebhookId;

use crate::server::Server;

/// How an endpoint behaves.
#[derive(Debug, Clone, Copy)]
pub struct Manner {
    /// How long it takes to answer.
    pub wait: Duration,
    /// Whether it keeps its connections open.
    pub keeps_connections: bool,
}

impl Manner {
    /// Answers at once, on connections that stay open.
    pub const PROMPT: Self = Self { wait: Duration::ZERO, keeps_connections: true };
}

/// A running endpoint.
#[derive(Debug)]
pub struct Receiver {
    server: Server,
    scheme: &'static str,
    posts: Arc<AtomicU64>,
}

impl Receiver {
    /// An endpoint over http, or over https with the certificate of `tls`.
    pub async fn start(manner: Manner, tls: Option<TlsAcceptor>) -> Result<Self> {
        let posts = Arc::new(AtomicU64::new(0));
        let counted = Arc::clone(&posts);
        let scheme = if tls.is_some() { "https" } else { "http" };
        let server = Server::start(tls, move |_post| {
            counted.fetch_add(1, Ordering::Relaxed);
            async move {
                if !manner.wait.is_zero() {
                    tokio::time::sleep(manner.wait).await;
                }
                let mut answer = Response::new(Full::default());
                *answer.status_mut() = StatusCode::OK;
                if !manner.keeps_connections {
                    answer.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
                }
                answer
            }
        })
        .await?;
        Ok(Self { server, scheme, posts })
    }

    /// Its URL, by name, so that a new connection has to resolve one.
    #[must_use]
    pub fn url(&self) -> String {
        format!("{}://localhost:{}/webhooks/docintell", self.scheme, self.server.address().port())
    }

    /// Posts since the last time, which must be `expected`: a figure of posts that did not arrive would
    /// be of nothing.
    pub fn take_posts(&self, expected: u64) -> Result<()> {
        let posts = self.posts.swap(0, Ordering::Relaxed);
        ensure!(posts == expected, "{posts} posts arrived where {expected} were expected");
        Ok(())
    }
}

/// A certificate authority of the benchmark's own, and a server whose certificate it signed.
pub struct Tls {
    /// The authority's certificate in PEM; removed with this.
    authority: PathBuf,
    /// For servers that are known as `localhost`.
    pub acceptor: TlsAcceptor,
}

impl Tls {
    /// A new authority, its certificate in `folder`.
    pub fn new(folder: &Path) -> Result<Self> {
        let mut params = CertificateParams::new([])?;
        params.distinguished_name.push(DnType::CommonName, "benchmark");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate()?)?;
        let key = KeyPair::generate()?;
        let certificate =
            CertificateParams::new(["localhost".to_owned()])?.signed_by(&key, &issuer)?;
        let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let config =
            ServerConfig::builder_with_provider(rustls::crypto::ring::default_provider().into())
                .with_safe_default_protocol_versions()?
                .with_no_client_auth()
                .with_single_cert(vec![certificate.der().clone()], key)?;
        // A name of its own, as one process may have several.
        let authority = folder.join(format!("benchmark-{}.pem", WebhookId::random()));
        std::fs::write(&authority, issuer.pem())
            .with_context(|| format!("{} cannot be written", authority.display()))?;
        Ok(Self { authority, acceptor: TlsAcceptor::from(Arc::new(config)) })
    }

    /// The file that whoever connects has to trust.
    #[must_use]
    pub fn authority(&self) -> &Path {
        &self.authority
    }
}

impl std::fmt::Debug for Tls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tls").field("authority", &self.authority).finish_non_exhaustive()
    }
}

impl Drop for Tls {
    fn drop(&mut self) {
        // Left behind, it is one small file in the build's folder.
        std::fs::remove_file(&self.authority).ok();
    }
}
