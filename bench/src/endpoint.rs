//! An endpoint that does as little as HTTP/1.1 allows, on a thread and a runtime of its own.

use std::net::Ipv4Addr;
use std::thread;

use anyhow::Result;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime;

/// The body of every post, so that the endpoint knows where one ends.
pub const BODY: &str = concat!(
    r#"{"event":"document.processing.completed","timestamp":"2025-12-03T10:30:47Z","data":{"#,
    r#""document_id":"660e8400-e29b-41d4-a716-446655440001","#,
    r#""job_id":"550e8400-e29b-41d4-a716-446655440000","#,
    r#""tenant_id":"770e8400-e29b-41d4-a716-446655440002","status":"completed"}}"#
);

/// Starts it; its port on 127.0.0.1.
pub fn start() -> Result<u16> {
    let runtime = runtime::Builder::new_current_thread().enable_all().build()?;
    let listener = runtime.block_on(TcpListener::bind((Ipv4Addr::LOCALHOST, 0)))?;
    let port = listener.local_addr()?.port();
    thread::spawn(move || {
        runtime.block_on(async {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream));
            }
        });
    });
    Ok(port)
}

/// Answers every post until the client hangs up.
async fn serve(mut stream: TcpStream) {
    let mut received = Vec::with_capacity(4096);
    while stream.read_buf(&mut received).await.is_ok_and(|bytes| bytes > 0) {
        if received.ends_with(BODY.as_bytes()) {
            received.clear();
            let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n";
            if stream.write_all(answer).await.is_err() {
                return;
            }
        }
    }
}
