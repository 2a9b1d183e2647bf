//! Certificate authorities for https endpoints.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, date_time_ymd,
};
use rustls::ServerConfig;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio_rustls::TlsAcceptor;
use webhooks::id::WebhookId;

/// A certificate's validity: from January 1 of the first year to January 1 of the second one.
pub(crate) type Years = (i32, i32);

/// Valid today.
pub const NOW: Years = (2020, 2100);

/// A certificate authority. A client that reads its file trusts it.
#[derive(Debug)]
pub struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    file: PathBuf,
}

impl Authority {
    /// An authority with a new key.
    #[must_use]
    pub fn new(name: &str) -> Self {
        let mut params = parameters(&[]);
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let issuer =
            CertifiedIssuer::self_signed(params, key()).expect("the authority can sign itself");
        // Unique, because tests and processes run at the same time.
        let file = std::env::temp_dir().join(format!("authority-{}.pem", WebhookId::random()));
        std::fs::write(&file, issuer.pem()).expect("the temporary folder can be written");
        Self { issuer, file }
    }

    /// The authority's certificate in PEM. Dropping the authority removes the file.
    #[must_use]
    pub fn file(&self) -> &Path {
        &self.file
    }

    /// A server with a certificate for `name`, an address or a host.
    #[must_use]
    pub fn server(&self, name: &str) -> TlsAcceptor {
        self.server_of(&[name], NOW)
    }

    /// A server with a certificate for all of `names`, valid in `years`.
    #[must_use]
    pub fn server_of(&self, names: &[&str], years: Years) -> TlsAcceptor {
        let key = key();
        let mut params = parameters(names);
        params.not_before = date_time_ymd(years.0, 1, 1);
        params.not_after = date_time_ymd(years.1, 1, 1);
        let certificate = params.signed_by(&key, &self.issuer).expect("the authority can sign");
        acceptor(certificate.der(), &key)
    }

    /// A server with the authority's own certificate, like one from `openssl req -x509`.
    #[must_use]
    pub fn self_signed(&self) -> TlsAcceptor {
        acceptor(self.issuer.der(), self.issuer.key())
    }
}

impl Drop for Authority {
    fn drop(&mut self) {
        // A leftover is one small temporary file.
        std::fs::remove_file(&self.file).ok();
    }
}

fn key() -> KeyPair {
    KeyPair::generate().expect("there are random bytes")
}

fn parameters(names: &[&str]) -> CertificateParams {
    let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
    CertificateParams::new(names).expect("names are ASCII")
}

fn acceptor(certificate: &CertificateDer<'static>, key: &KeyPair) -> TlsAcceptor {
    let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let provider = rustls::crypto::ring::default_provider().into();
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("ring supports these versions")
        .with_no_client_auth()
        .with_single_cert(vec![certificate.clone()], key)
        .expect("the key belongs to the certificate");
    TlsAcceptor::from(Arc::new(config))
}
