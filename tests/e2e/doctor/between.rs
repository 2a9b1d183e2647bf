//! Something between doctor and the API, which holds the request that makes a webhook, and can lose its answer.

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// How the request that makes a webhook begins.
const CREATE: &[u8] = b"POST /v1/webhooks HTTP/1.1\r\n";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Lose {
    Nothing,
    /// The API's response to the request that makes a webhook. The connection ends instead.
    TheAnswer,
}

pub(super) struct Between {
    address: SocketAddr,
    has_create: watch::Receiver<bool>,
    let_through: watch::Sender<bool>,
    task: JoinHandle<()>,
}

impl Between {
    /// Forwards to `api_url`.
    pub(super) async fn start(api_url: &str, lose: Lose) -> Self {
        let api = api_url.strip_prefix("http://").expect("the stack is on this machine").to_owned();
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port is free");
        let address = listener.local_addr().expect("it is bound");
        let (arrived, has_create) = watch::channel(false);
        let (let_through, may_pass) = watch::channel(false);
        let task = tokio::spawn(async move {
            loop {
                let (client, _) = listener.accept().await.expect("it can accept");
                let server = TcpStream::connect(&api).await.expect("the API listens");
                tokio::spawn(connection(client, server, lose, arrived.clone(), may_pass.clone()));
            }
        });
        Self { address, has_create, let_through, task }
    }

    pub(super) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Waits for the request that makes a webhook. The API does not have it yet.
    pub(super) async fn has_the_create(&mut self) {
        self.has_create.wait_for(|arrived| *arrived).await.expect("it runs");
    }

    /// Forwards that request, now or when it arrives.
    pub(super) fn let_it_through(&self) {
        self.let_through.send_replace(true);
    }
}

impl Drop for Between {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Ends when either side ends.
async fn connection(
    mut client: TcpStream,
    mut server: TcpStream,
    lose: Lose,
    arrived: watch::Sender<bool>,
    mut may_pass: watch::Receiver<bool>,
) {
    let (mut sent, mut answered) = (vec![0; 65_536], vec![0; 65_536]);
    let mut loses = false;
    loop {
        tokio::select! {
            read = client.read(&mut sent) => {
                let Ok(length @ 1..) = read else { return };
                if sent.starts_with(CREATE) {
                    arrived.send_replace(true);
                    may_pass.wait_for(|pass| *pass).await.ok();
                    loses = lose == Lose::TheAnswer;
                }
                if server.write_all(&sent[..length]).await.is_err() {
                    return;
                }
            }
            read = server.read(&mut answered) => {
                let Ok(length @ 1..) = read else { return };
                if loses || client.write_all(&answered[..length]).await.is_err() {
                    return;
                }
            }
        }
    }
}
