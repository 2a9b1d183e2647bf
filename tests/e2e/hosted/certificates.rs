//! A certificate authority of the test's own, and servers whose certificates are right or wrong.

use std::path::PathBuf;

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, date_time_ymd,
};
use rustls::ServerConfig;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};

/// An authority that only those trust who are given its file.
#[derive(Debug)]
pub struct Authority {
    name: &'static str,
    issuer: CertifiedIssuer<'static, KeyPair>,
}

/// In which years a certificate is valid, each from its first day.
pub type Years = (i32, i32);

impl Authority {
    /// A new authority of that name with a new key.
    pub fn new(name: &'static str) -> Self {
        let mut params = CertificateParams::new([]).expect("no names are right names");
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().expect("a key can be made");
        let issuer = CertifiedIssuer::self_signed(params, key).expect("it can sign itself");
        Self { name, issuer }
    }

    /// Its certificate in PEM, in a file that stays with the build's other files.
    pub fn file(&self) -> PathBuf {
        let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR"));
        let path = folder.join(format!("authority-{}.pem", self.name));
        std::fs::write(&path, self.issuer.pem()).expect("the build's folder can be written");
        path
    }

    /// A server whose certificate is for `name`, an address or a host.
    pub fn server(&self, name: &str, years: Years) -> ServerConfig {
        let key = KeyPair::generate().expect("a key can be made");
        let mut params = CertificateParams::new([name.to_owned()]).expect("it is a right name");
        params.not_before = date_time_ymd(years.0, 1, 1);
        params.not_after = date_time_ymd(years.1, 1, 1);
        let certificate = params.signed_by(&key, &self.issuer).expect("the authority can sign");
        let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
        ServerConfig::builder_with_provider(rustls::crypto::ring::default_provider().into())
            .with_safe_default_protocol_versions()
            .expect("the provider has them")
            .with_no_client_auth()
            .with_single_cert(vec![certificate.der().clone()], key)
            .expect("the key is the certificate's")
    }
}
