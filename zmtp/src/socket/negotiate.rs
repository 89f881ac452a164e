//! The handshake over a stream, in limited time.

use std::sync::Arc;

use protocol::PeerId;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::security::curve::Session;
use crate::socket::connection::End;
use crate::socket::door;
use crate::socket::link::Shared;
use crate::socket::stream::Stream;
use crate::wire::fault::Fault;
use crate::wire::handshake::{Handshake, Peer};
use crate::wire::socket_type::SocketType;

/// Octets read at once. A handshake's commands have at most some kilobytes, and the buffer grows with what comes.
const READ_BYTES: usize = 512;

/// What a handshake left behind.
#[derive(Debug)]
pub(crate) struct Established {
    pub(crate) peer: Peer,
    /// What came after the peer's last word of the handshake.
    pub(crate) rest: Vec<u8>,
    /// What protects the traffic, if something does.
    pub(crate) session: Option<Session>,
}

/// Shakes hands as a `socket_type` over connection `id`.
pub(crate) async fn negotiate(
    stream: &mut Stream,
    socket_type: SocketType,
    id: PeerId,
    shared: &Arc<Shared>,
) -> Result<Established, End> {
    let handshake = door::handshake(shared, socket_type, id.0, stream.peer_address()).map_err(|_| End::Closed)?;
    let done = tokio::time::timeout(shared.options.handshake_timeout, converse(stream, handshake, shared));
    done.await.unwrap_or(Err(End::Fault(Fault::HandshakeTimeout)))
}

async fn converse(stream: &mut Stream, mut handshake: Handshake, shared: &Shared) -> Result<Established, End> {
    let mut input = Vec::new();
    loop {
        let mut consumed = 0;
        shared.turn_cookies().map_err(|_| End::Closed)?;
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
            return Ok(Established { peer, rest: input, session: handshake.take_session() });
        }
        input.reserve(READ_BYTES);
        match stream.read_buf(&mut input).await {
            Ok(received) if received > 0 => {}
            _ => return Err(End::Closed),
        }
    }
}
