//! Where the test and the test delivery go: a receiver of doctor's own, an endpoint that the user names, or nowhere.

use std::time::Duration;

use anyhow::Result;
use reqwest::Url;
use tokio::sync::{mpsc, watch};
use tokio::time::timeout;
use webhooks::secret::SigningSecret;

use crate::listen::{Answers, Behaviour, Checks, Handled, Server, Socket};

/// A host name that never exists (RFC 2606).
const NOWHERE: &str = "https://doctor.invalid/";

#[derive(Debug)]
pub(crate) enum Endpoint {
    /// On this machine, which only a stack on this machine can reach.
    Own(Receiver),
    Named(Url),
    Nowhere,
}

/// A receiver on a free port of 127.0.0.1, which verifies what it gets.
#[derive(Debug)]
pub(crate) struct Receiver {
    url: String,
    /// `None` once it answers.
    socket: Option<Socket>,
    server: Option<Server>,
    requests: mpsc::UnboundedReceiver<Handled>,
    sender: mpsc::UnboundedSender<Handled>,
}

impl Endpoint {
    pub(crate) async fn new(named: Option<Url>, is_local: bool) -> Result<Self> {
        match named {
            Some(url) => Ok(Self::Named(url)),
            None if is_local => Ok(Self::Own(Receiver::bind().await?)),
            None => Ok(Self::Nowhere),
        }
    }

    pub(crate) fn url(&self) -> &str {
        match self {
            Self::Own(receiver) => &receiver.url,
            Self::Named(url) => url.as_str(),
            Self::Nowhere => NOWHERE,
        }
    }
}

impl Receiver {
    async fn bind() -> Result<Self> {
        let socket = Socket::bind(0).await?;
        let url = format!("http://{}/docintell-doctor", socket.address()?);
        let (sender, requests) = mpsc::unbounded_channel();
        Ok(Self { url, socket: Some(socket), server: None, requests, sender })
    }

    /// Answers from now on: 200 to what is signed with `secret`, 401 to anything else.
    pub(crate) fn trust(&mut self, secret: SigningSecret) {
        // The secret never changes, so nobody keeps the sender.
        let (_, secret) = watch::channel(secret);
        let behaviour = Behaviour { secret, answers: Answers::default(), forward: None };
        let serve = |socket: Socket| socket.serve(behaviour, self.sender.clone());
        self.server = self.socket.take().map(serve);
    }

    /// The checks of the first request from now on whose body contains `id`; `None` if there is none in time.
    pub(crate) async fn arrival(&mut self, id: &str, wait: Duration) -> Option<Checks> {
        let arrival = async {
            while let Some(handled) = self.requests.recv().await {
                if String::from_utf8_lossy(&handled.received.body).contains(id) {
                    return Some(handled.checks);
                }
            }
            None
        };
        timeout(wait, arrival).await.ok().flatten()
    }
}
