//! A peer made of raw octets, for saying what no library would say.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use zmtp::Endpoint;

use super::PATIENCE;

/// Captured from libzmq 4.3.5.
pub fn greeting(minor: u8) -> Vec<u8> {
    let mut greeting = vec![0xff, 0, 0, 0, 0, 0, 0, 0, 0, 0x7f, 3, minor, b'N', b'U', b'L', b'L'];
    greeting.resize(64, 0);
    greeting
}

/// READY as libzmq sends it.
pub fn ready(socket_type: &str, identity: &[u8]) -> Vec<u8> {
    let mut body = b"\x05READY\x0bSocket-Type".to_vec();
    body.extend(u32::try_from(socket_type.len()).unwrap().to_be_bytes());
    body.extend(socket_type.as_bytes());
    body.extend(b"\x08Identity");
    body.extend(u32::try_from(identity.len()).unwrap().to_be_bytes());
    body.extend(identity);
    command(&body)
}

pub fn command(body: &[u8]) -> Vec<u8> {
    let mut frame = match u8::try_from(body.len()) {
        Ok(size) => vec![4, size],
        Err(_) => [&[6][..], &(body.len() as u64).to_be_bytes()].concat(),
    };
    frame.extend(body);
    frame
}

pub fn frame(more: bool, body: &[u8]) -> Vec<u8> {
    let mut frame = match u8::try_from(body.len()) {
        Ok(size) => vec![u8::from(more), size],
        Err(_) => [&[2 | u8::from(more)][..], &(body.len() as u64).to_be_bytes()].concat(),
    };
    frame.extend(body);
    frame
}

/// A connection without any protocol yet.
pub async fn dial(endpoint: &Endpoint) -> TcpStream {
    let stream = TcpStream::connect(("127.0.0.1", endpoint.port().unwrap())).await.unwrap();
    stream.set_nodelay(true).unwrap();
    stream
}

/// A connection that has finished the handshake as a DEALER of ZMTP 3.`minor`.
pub async fn dealer(endpoint: &Endpoint, minor: u8, identity: &[u8]) -> TcpStream {
    let mut stream = dial(endpoint).await;
    stream.write_all(&greeting(minor)).await.unwrap();
    stream.write_all(&ready("DEALER", identity)).await.unwrap();
    let mut theirs = vec![0; 64 + ready("ROUTER", b"").len()];
    read_exact(&mut stream, &mut theirs).await;
    assert_eq!(theirs, [greeting(1), ready("ROUTER", b"")].concat());
    stream
}

pub async fn read_exact(stream: &mut TcpStream, into: &mut [u8]) {
    tokio::time::timeout(PATIENCE, stream.read_exact(into)).await.expect("octets were expected").unwrap();
}

/// Reads until the other side closes; what came before that.
pub async fn read_to_end(stream: &mut TcpStream) -> Vec<u8> {
    let mut all = Vec::new();
    let read = tokio::time::timeout(PATIENCE, stream.read_to_end(&mut all)).await;
    // A reset is an end as well: the other side closed with octets of ours unread.
    let _ = read.expect("the connection should have been closed");
    all
}

/// Whether the connection is still open after `wait`.
pub async fn stays_open(stream: &mut TcpStream, wait: Duration) -> bool {
    let mut octet = [0];
    match tokio::time::timeout(wait, stream.read(&mut octet)).await {
        Err(_) => true,
        Ok(read) => matches!(read, Ok(count) if count > 0),
    }
}

/// Accepts the next connection and shakes hands as a ROUTER.
pub async fn accept_as_router(listener: &tokio::net::TcpListener) -> TcpStream {
    let (mut stream, _) = tokio::time::timeout(PATIENCE, listener.accept()).await.expect("a connection").unwrap();
    stream.write_all(&[greeting(1), ready("ROUTER", b"")].concat()).await.unwrap();
    let mut theirs = vec![0; 64 + ready("DEALER", b"").len()];
    read_exact(&mut stream, &mut theirs).await;
    stream
}
