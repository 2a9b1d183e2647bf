//! A certificate authority of the benchmark's own, for endpoints that are called over TLS.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context as _, Result};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use rustls::ServerConfig;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio_rustls::TlsAcceptor;
use webhooks::id::WebhookId;

/// An authority, and a server whose certificate it signed.
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
