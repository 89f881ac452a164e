//! A peer of ZMTP 2.0, as old bindings greet: everything at once, and what comes back is read in their form.
//!
//! ```text
//!   FF 8x00 01 7F   revision   socket type   00 length identity
//! ```

use bytes::Bytes;
use zmtp::{Fault, Peer, SocketType};

/// The old peer, a DEALER that meets a ROUTER.
pub(crate) struct Second {
    output: Vec<u8>,
}

/// Signature and revision of an answer, then type, flags and length of the identity.
const FRONT_BYTES: usize = 10 + 1;
const HEAD_BYTES: usize = FRONT_BYTES + 1 + 2;
const DEALER: u8 = 5;
const ROUTER: u8 = 6;

impl Second {
    pub(crate) fn new(identity: &[u8]) -> Self {
        let mut output = b"\xff\0\0\0\0\0\0\0\x01\x7f\x01".to_vec();
        output.extend([DEALER, 0, u8::try_from(identity.len()).unwrap()]);
        output.extend_from_slice(identity);
        Self { output }
    }

    pub(crate) fn take_output(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.output)
    }

    pub(crate) fn feed(&mut self, input: &[u8], consumed: &mut usize) -> Result<Option<Peer>, Fault> {
        let Some(&[socket_type, flags, length]) = input.get(FRONT_BYTES..HEAD_BYTES) else { return Ok(None) };
        if (socket_type, flags) != (ROUTER, 0) || input[0] != 0xff {
            return Err(Fault::Signature);
        }
        let end = HEAD_BYTES + usize::from(length);
        let Some(identity) = input.get(HEAD_BYTES..end) else { return Ok(None) };
        *consumed += end;
        let (version, identity) = ((2, 0), Bytes::copy_from_slice(identity));
        Ok(Some(Peer { version, socket_type: SocketType::Router, identity, principal: None }))
    }
}
