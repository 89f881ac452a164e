//! The handshake over a stream, in limited time.

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::connection::End;
use crate::fault::Fault;
use crate::handshake::{Handshake, Local, Peer};
use crate::options::Options;
use crate::socket_type::SocketType;
use crate::stream::Stream;

/// Octets read at once. READY has at most some kilobytes, and the buffer grows with what comes.
const READ_BYTES: usize = 512;

/// Shakes hands as a `socket_type`; returns the peer and what came after its READY.
pub(crate) async fn negotiate(
    stream: &mut Stream,
    socket_type: SocketType,
    options: &Options,
) -> Result<(Peer, Vec<u8>), End> {
    let (identity, domain, mechanism) = (options.identity.clone(), options.domain.clone(), options.mechanism.clone());
    let local = Local { socket_type, identity, domain, mechanism };
    let done = tokio::time::timeout(options.handshake_timeout, converse(stream, Handshake::new(local)));
    done.await.unwrap_or(Err(End::Fault(Fault::HandshakeTimeout)))
}

async fn converse(stream: &mut Stream, mut handshake: Handshake) -> Result<(Peer, Vec<u8>), End> {
    let mut input = Vec::new();
    loop {
        let mut consumed = 0;
        let step = handshake.feed(&input, &mut consumed);
        let output = handshake.take_output();
        if !output.is_empty() {
            let written = stream.write_all(&output).await;
            if step.is_ok() && written.is_err() {
                return Err(End::Closed);
            }
        }
        input.drain(..consumed);
        if let Some(peer) = step.map_err(End::Fault)? {
            return Ok((peer, input));
        }
        input.reserve(READ_BYTES);
        match stream.read_buf(&mut input).await {
            Ok(received) if received > 0 => {}
            _ => return Err(End::Closed),
        }
    }
}
