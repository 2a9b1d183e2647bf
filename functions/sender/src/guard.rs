//! The HTTP client that posts to endpoints, and the resolver that keeps it on the public internet.
//!
//! The rule: the address that was checked is the address that is dialled. A name is resolved once per
//! connection, here, and one forbidden address in the answer refuses all of it. Literal addresses never
//! reach a resolver; [`EndpointPolicy::check_url`] has judged them before.

use std::borrow::Cow;
use std::fmt;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::{redirect, retry};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::{self, PemObject};
use webhooks::endpoint::{EndpointPolicy, EndpointUrl};
use webhooks::resolve::{Lookup, resolve};
use webhooks::tls;

/// How long all addresses of a name together may take to accept a connection and agree on TLS. Each address of
/// a family gets an equal share, and the other family is tried after 300 ms, so a silent address leaves time.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// Below the 5 s after which the servers of Node and Apache close an idle connection, perhaps just as the next
/// request arrives.
const IDLE_CONNECTION_LIFE: Duration = Duration::from_secs(4);

/// How long a client, and with it each of its connections, takes new requests: with the attempt that begins last
/// a connection lives 60 s at most, so an endpoint's new address is used within a minute.
const CLIENT_LIFE: Duration = Duration::from_secs(50);

/// How many header lines an answer may have; hyper's own limit is 100.
const MAX_HEADERS: usize = 512;

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

/// The HTTP clients that post to endpoints, replaced before their connections grow old.
pub struct EndpointClients {
    policy: Arc<EndpointPolicy>,
    lookup: Lookup,
    tls: rustls::ClientConfig,
    current: Mutex<Generation>,
}

/// Clients that are replaced together; each is made when it is first needed.
struct Generation {
    began: Instant,
    open: Option<reqwest::Client>,
    /// For names at a protected port. The resolver is not told the port, so it has to be another one.
    public_only: Option<reqwest::Client>,
}

impl Generation {
    fn beginning(now: Instant) -> Self {
        Self { began: now, open: None, public_only: None }
    }
}

impl EndpointClients {
    /// Clients that resolve names by `lookup`, judge addresses by `policy`, and trust `tls`.
    #[must_use]
    pub fn new(policy: Arc<EndpointPolicy>, lookup: Lookup, tls: rustls::ClientConfig) -> Self {
        let current = Mutex::new(Generation::beginning(Instant::now()));
        Self { policy, lookup, tls, current }
    }

    /// The client for a request to `url` that begins at `now`.
    pub fn client(&self, url: &EndpointUrl, now: Instant) -> Result<reqwest::Client, ClientError> {
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        if now.saturating_duration_since(current.began) >= CLIENT_LIFE {
            *current = Generation::beginning(now);
        }
        let policy = self.policy.for_port(url.port());
        let place = match policy {
            Cow::Borrowed(_) => &mut current.open,
            Cow::Owned(_) => &mut current.public_only,
        };
        if let Some(client) = place {
            return Ok(client.clone());
        }
        let client = builder(policy.into_owned(), &self.lookup, &self.tls).build()?;
        Ok(place.insert(client).clone())
    }
}

impl fmt::Debug for EndpointClients {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EndpointClients").field("policy", &self.policy).finish_non_exhaustive()
    }
}

/// How a client is made: HTTP/1.1 without proxy, cookies or compression, through the guarded resolver. It
/// sends no request a second time by itself: what follows from an answer is decided where attempts are counted.
/// It is liberal in what it reads: of an answer only the status counts.
pub fn builder(
    policy: EndpointPolicy,
    lookup: &Lookup,
    tls: &rustls::ClientConfig,
) -> reqwest::ClientBuilder {
    let (policy, lookup) = (Arc::new(policy), Arc::clone(lookup));
    reqwest::Client::builder()
        .tls_backend_preconfigured(tls.clone())
        .http1_only()
        .http1_max_headers(MAX_HEADERS)
        .http1_allow_obsolete_multiline_headers_in_responses(true)
        .http1_allow_spaces_after_header_name_in_responses(true)
        .http1_ignore_invalid_headers_in_responses(true)
        .redirect(redirect::Policy::none())
        // Without the limit each request is copied for the retry that never comes.
        .retry(retry::never().max_retries_per_request(0))
        .no_proxy()
        .referer(false)
        .dns_resolver(Arc::new(GuardedResolver { policy, lookup }))
        .connect_timeout(CONNECT_TIMEOUT)
        .pool_idle_timeout(IDLE_CONNECTION_LIFE)
        .user_agent(USER_AGENT)
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
    use futures_util::FutureExt as _;
    use std::net::IpAddr;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::{TcpListener, TcpSocket, TcpStream};
    use tokio::time::timeout;
    use webhooks::endpoint::Protected;
    use webhooks::resolve::ResolveError;

    use super::*;
    use crate::attempt::ATTEMPT_TIMEOUT;
    use crate::failure::Failure;

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

    fn client(policy: EndpointPolicy, lookup: &Lookup) -> reqwest::Client {
        builder(policy, lookup, &tls(None).unwrap()).build().unwrap()
    }

    #[tokio::test]
    async fn a_name_that_was_public_when_it_was_checked_and_is_loopback_now_is_not_dialled() {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let url = format!("https://rebinding.example:{}/", listener.local_addr().unwrap().port());
        let policy = EndpointPolicy::default();
        let lookup = answers(&[&["1.1.1.1"], &["127.0.0.1"], &["1.1.1.1", "127.0.0.1"]]);
        resolve(&lookup, &policy, "rebinding.example").await.unwrap();

        let client = client(policy, &lookup);
        for _ in 0..2 {
            let error = client.post(&url).send().await.unwrap_err();
            assert!(matches!(refusal(&error), Some(ResolveError::Refused(_))), "{error:?}");
        }
        assert!(listener.accept().now_or_never().is_none(), "somebody has connected");
    }

    fn loopback() -> EndpointPolicy {
        let allowed_networks = ["127.0.0.0/8", "::1/128"].map(|net| net.parse().unwrap()).into();
        EndpointPolicy { allow_http: true, allowed_networks, ..EndpointPolicy::default() }
    }

    #[tokio::test]
    async fn the_address_that_was_checked_is_the_one_that_is_dialled() {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let url = format!("https://allowed.example:{}/", listener.local_addr().unwrap().port());
        // A second look-up would find nothing.
        let client = client(loopback(), &answers(&[&["127.0.0.1"]]));
        tokio::spawn(client.post(&url).send());
        listener.accept().await.unwrap();
    }

    /// A port that is free on both addresses, and a socket for it on each.
    fn two_sockets(addresses: [&str; 2]) -> (u16, [TcpSocket; 2]) {
        let addresses = addresses.map(|text| text.parse::<IpAddr>().unwrap());
        let socket = |address: IpAddr, port| {
            let socket =
                if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }.unwrap();
            socket.bind(SocketAddr::new(address, port)).map(|()| socket)
        };
        loop {
            let first = socket(addresses[0], 0).unwrap();
            let port = first.local_addr().unwrap().port();
            if let Ok(second) = socket(addresses[1], port) {
                return (port, [first, second]);
            }
        }
    }

    /// Answers every request with a 200, on connections that stay open.
    fn serve(socket: TcpSocket) {
        let listener = socket.listen(16).unwrap();
        tokio::spawn(async move {
            loop {
                let (mut stream, _) = listener.accept().await.unwrap();
                tokio::spawn(async move {
                    let mut request = [0; 4096];
                    while let Ok(1..) = stream.read(&mut request).await {
                        let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n";
                        stream.write_all(answer).await.unwrap();
                    }
                });
            }
        });
    }

    /// Lets connections to a socket wait for ever: its queue is full and nobody accepts any. It does so until
    /// the result is dropped.
    async fn be_silent(socket: TcpSocket) -> (TcpListener, Vec<TcpStream>) {
        let listener = socket.listen(1).unwrap();
        let address = listener.local_addr().unwrap();
        let mut waiting = Vec::new();
        while let Ok(stream) =
            timeout(Duration::from_millis(200), TcpStream::connect(address)).await
        {
            waiting.push(stream.unwrap());
        }
        (listener, waiting)
    }

    #[tokio::test]
    async fn a_silent_address_leaves_time_for_the_names_next_one_of_either_family() {
        for [silent, good] in
            [["127.0.0.2", "127.0.0.1"], ["::1", "127.0.0.1"], ["127.0.0.1", "::1"]]
        {
            let (port, [first, second]) = two_sockets([silent, good]);
            let _silent = be_silent(first).await;
            serve(second);
            let client = client(loopback(), &answers(&[&[silent, good]]));
            let response = client.post(format!("http://two.example:{port}/")).send().await;
            assert_eq!(response.unwrap().status(), 200, "{silent}, then {good}");
        }
    }

    #[tokio::test]
    async fn a_name_whose_addresses_are_all_silent_fails_within_five_seconds() {
        let (port, [first, second]) = two_sockets(["127.0.0.2", "127.0.0.1"]);
        let _silent = [be_silent(first).await, be_silent(second).await];
        let client = client(loopback(), &answers(&[&["127.0.0.2", "127.0.0.1"]]));
        let request = client.post(format!("http://two.example:{port}/")).send();
        let failure = Failure::from(timeout(ATTEMPT_TIMEOUT, request).await.unwrap().unwrap_err());
        assert_eq!(failure.to_string(), "no connection within 5 s");
    }

    #[tokio::test]
    async fn a_connection_is_used_for_less_than_a_minute_and_then_the_name_is_resolved_again() {
        let (port, [old, new]) = two_sockets(["127.0.0.1", "127.0.0.2"]);
        serve(old);
        serve(new);
        let lookup = answers(&[&["127.0.0.1"], &["127.0.0.2"]]);
        let clients = EndpointClients::new(Arc::new(loopback()), lookup, tls(None).unwrap());
        let url = EndpointUrl::parse(&format!("http://moves.example:{port}/")).unwrap();
        let begun = Instant::now();
        for (seconds, expected) in [(0, "127.0.0.1"), (49, "127.0.0.1"), (51, "127.0.0.2")] {
            let client = clients.client(&url, begun + Duration::from_secs(seconds)).unwrap();
            let response = client.post(url.as_str()).send().await;
            let address = response.unwrap().remote_addr().unwrap();
            assert_eq!(address.ip().to_string(), expected, "after {seconds} s");
        }
    }

    #[tokio::test]
    async fn a_name_at_a_protected_port_leads_to_the_internet_or_nowhere() {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let policy = EndpointPolicy { protected: vec![Protected::Port(port)], ..loopback() };
        let lookup = answers(&[&["127.0.0.1"], &["127.0.0.1"]]);
        let clients = EndpointClients::new(Arc::new(policy), lookup, tls(None).unwrap());
        let url = EndpointUrl::parse(&format!("http://name.example:{port}/")).unwrap();
        let client = clients.client(&url, Instant::now()).unwrap();
        let error = client.post(url.as_str()).send().await.unwrap_err();
        assert!(matches!(refusal(&error), Some(ResolveError::Refused(_))), "{error:?}");
        assert!(listener.accept().now_or_never().is_none(), "somebody has connected");
    }
}
