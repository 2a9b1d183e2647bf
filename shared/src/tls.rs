//! TLS configuration for connections to AWS and to endpoints.
//!
//! The rule: the certificate authorities are compiled in. Reading them from files takes every client several
//! milliseconds at a cold start.

use rustls::{ClientConfig, RootCertStore};

/// Mozilla's list of public certificate authorities.
#[must_use]
pub fn public_authorities() -> RootCertStore {
    RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() }
}

/// For HTTP/1.1, on ring; trusts only `authorities`.
///
/// # Panics
///
/// Never: ring supports all default TLS versions.
#[must_use]
pub fn client(authorities: RootCertStore) -> ClientConfig {
    let mut config =
        ClientConfig::builder_with_provider(rustls::crypto::ring::default_provider().into())
            .with_safe_default_protocol_versions()
            .expect("ring supports the default TLS versions")
            .with_root_certificates(authorities)
            .with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    config
}
