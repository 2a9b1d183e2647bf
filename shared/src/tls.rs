//! TLS as a client speaks it, to AWS and to endpoints: on ring, trusting the public authorities.
//!
//! The rule: those authorities are compiled in. Read from the machine's files they would cost each cold
//! start some milliseconds, and more with each client that reads them.

use rustls::{ClientConfig, RootCertStore};

/// The public certificate authorities, as Mozilla keeps them.
#[must_use]
pub fn public_authorities() -> RootCertStore {
    RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() }
}

/// A client for HTTP/1.1 that trusts `authorities`.
///
/// # Panics
///
/// Never: ring has every version of TLS that is on by default.
#[must_use]
pub fn client(authorities: RootCertStore) -> ClientConfig {
    let mut config =
        ClientConfig::builder_with_provider(rustls::crypto::ring::default_provider().into())
            .with_safe_default_protocol_versions()
            .expect("ring has them")
            .with_root_certificates(authorities)
            .with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    config
}
