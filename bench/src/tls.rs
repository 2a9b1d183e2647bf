//! Certificate authorities of the benchmark's and the tests' own, for endpoints that are called over TLS.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context as _, Result};
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, date_time_ymd,
};
use rustls::ServerConfig;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio_rustls::TlsAcceptor;
use webhooks::id::WebhookId;

/// In which years a certificate is valid, each from its first day; the last is not among them.
pub type Years = (i32, i32);

/// Years of which this is one.
pub const NOW: Years = (2020, 2100);

/// An authority that only those trust who are given its file.
#[derive(Debug)]
pub struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
}

impl Authority {
    /// A new authority of that name with a new key.
    pub fn new(name: &str) -> Result<Self> {
        let mut params = CertificateParams::new([])?;
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Ok(Self { issuer: CertifiedIssuer::self_signed(params, KeyPair::generate()?)? })
    }

    /// Writes its certificate in PEM to `file`.
    pub fn write(&self, file: &Path) -> Result<()> {
        std::fs::write(file, self.issuer.pem())
            .with_context(|| format!("{} cannot be written", file.display()))
    }

    /// A server whose certificate is for `name`, an address or a host.
    pub fn server(&self, name: &str, years: Years) -> Result<ServerConfig> {
        self.server_of(vec![name.to_owned()], years)
    }

    /// A server whose certificate is for all of `names`.
    pub fn server_of(&self, names: Vec<String>, years: Years) -> Result<ServerConfig> {
        let key = KeyPair::generate()?;
        let mut params = CertificateParams::new(names)?;
        params.not_before = date_time_ymd(years.0, 1, 1);
        params.not_after = date_time_ymd(years.1, 1, 1);
        config(params.signed_by(&key, &self.issuer)?.der(), &key)
    }

    /// A server that shows the authority's own certificate, as one that `openssl req -x509` has made does.
    pub fn self_signed(&self) -> Result<ServerConfig> {
        config(self.issuer.der(), self.issuer.key())
    }
}

fn config(certificate: &CertificateDer<'static>, key: &KeyPair) -> Result<ServerConfig> {
    let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let provider = rustls::crypto::ring::default_provider().into();
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(vec![certificate.clone()], key)?;
    Ok(config)
}

/// An authority's file, and a server that it has signed for.
pub struct Tls {
    /// The authority's certificate in PEM; removed with this.
    authority: PathBuf,
    /// For servers that are known as `localhost`.
    pub acceptor: TlsAcceptor,
}

impl Tls {
    /// A new authority, its certificate in `folder`.
    pub fn new(folder: &Path) -> Result<Self> {
        let issuer = Authority::new("benchmark")?;
        let acceptor = TlsAcceptor::from(Arc::new(issuer.server("localhost", NOW)?));
        // A name of its own, as one process may have several.
        let authority = folder.join(format!("benchmark-{}.pem", WebhookId::random()));
        issuer.write(&authority)?;
        Ok(Self { authority, acceptor })
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
