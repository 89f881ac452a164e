//! What travels between a worker and a broker.
//!
//! ```text
//!              0.1 (behind "" MDPW01)         0.2 (behind MDPW02, or "" MDPW02)
//! READY        01 service                     01 service
//! REQUEST      02 address "" body+            02 address "" body+
//! PARTIAL      -                              03 address "" body+
//! FINAL        03 address "" body+            04 address "" body+
//! HEARTBEAT    04                             05
//! DISCONNECT   05                             06
//! ```
//!
//! The address is the broker's word for "this request of this client": opaque to the worker, returned unchanged.

use bytes::Bytes;

use super::client::Part;
use super::cursor::Cursor;
use super::dialect::Dialect;
use crate::fault::PeerFault;
use crate::frames::Frames;
use crate::identity::ServiceName;

/// What a worker says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FromWorker {
    /// I offer this service, up to `credit` requests at once (1 in 0.1 and 0.2, which cannot say).
    Ready {
        /// The service.
        service: ServiceName,
        /// How many requests it takes at once.
        credit: u32,
    },
    /// A part of the answer, or all of it.
    Reply {
        /// The address that came with the request.
        address: Bytes,
        /// Whether more parts follow.
        part: Part,
        /// One frame or more.
        body: Frames,
    },
    /// I live.
    Heartbeat,
    /// I leave.
    Disconnect,
}

/// What a broker says to a worker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ToWorker {
    /// Do this.
    Request {
        /// To be returned with each part of the answer.
        address: Bytes,
        /// One frame or more.
        body: Frames,
    },
    /// I live.
    Heartbeat,
    /// Do not speak to me any more on this connection; you may connect anew.
    Disconnect,
}

impl FromWorker {
    /// The command as a worker that speaks `dialect` sends it. In 0.1 every reply is final, so a dialect without
    /// PARTIAL has to be given [`Part::Final`] only.
    pub fn encode(self, dialect: Dialect) -> Frames {
        let codes = Codes::of(dialect);
        let mut frames = dialect.start(dialect.worker_header(), self.frame_count_after_header());
        match self {
            Self::Ready { service, .. } => {
                frames.push(READY);
                frames.push(service.to_frame());
            }
            Self::Reply { address, part, body } => {
                frames.push(match part {
                    Part::Partial => codes.partial,
                    Part::Final => codes.last,
                });
                push_addressed(&mut frames, address, body);
            }
            Self::Heartbeat => frames.push(codes.heartbeat),
            Self::Disconnect => frames.push(codes.disconnect),
        }
        frames
    }

    fn frame_count_after_header(&self) -> usize {
        match self {
            Self::Ready { .. } => 2,
            Self::Reply { body, .. } => 3 + body.len(),
            Self::Heartbeat | Self::Disconnect => 1,
        }
    }
}

impl ToWorker {
    /// The command as a broker sends it to a worker that speaks `dialect`.
    pub fn encode(self, dialect: Dialect) -> Frames {
        let codes = Codes::of(dialect);
        let mut frames = dialect.start(dialect.worker_header(), self.frame_count_after_header());
        match self {
            Self::Request { address, body } => {
                frames.push(REQUEST);
                push_addressed(&mut frames, address, body);
            }
            Self::Heartbeat => frames.push(codes.heartbeat),
            Self::Disconnect => frames.push(codes.disconnect),
        }
        frames
    }

    fn frame_count_after_header(&self) -> usize {
        match self {
            Self::Request { body, .. } => 3 + body.len(),
            Self::Heartbeat | Self::Disconnect => 1,
        }
    }

    /// Decodes a command at a worker that speaks `dialect`.
    ///
    /// # Errors
    /// The [`PeerFault`] that names the rule which the broker broke.
    pub fn decode(dialect: Dialect, message: Frames) -> Result<Self, PeerFault> {
        let codes = Codes::of(dialect);
        let mut cursor = Cursor::new(message);
        if dialect.is_delimited() {
            cursor.delimiter()?;
        }
        cursor.header(dialect.worker_header())?;
        let command = [cursor.command()?];
        if command == REQUEST {
            let address = cursor.address()?;
            return Ok(Self::Request { address, body: cursor.body()? });
        }
        if command == codes.heartbeat {
            return cursor.end("HEARTBEAT").map(|()| Self::Heartbeat);
        }
        if command == codes.disconnect {
            return cursor.end("DISCONNECT").map(|()| Self::Disconnect);
        }
        Err(PeerFault::Command)
    }
}

/// Decodes what follows the header of a worker's message at a broker.
pub(super) fn decode_from_worker(dialect: Dialect, rest: Frames) -> Result<FromWorker, PeerFault> {
    let codes = Codes::of(dialect);
    let mut cursor = Cursor::new(rest);
    let command = [cursor.command()?];
    if command == codes.last {
        return decode_reply(Part::Final, cursor);
    }
    if dialect.streams() && command == codes.partial {
        return decode_reply(Part::Partial, cursor);
    }
    if command == codes.heartbeat {
        return cursor.end("HEARTBEAT").map(|()| FromWorker::Heartbeat);
    }
    if command == READY {
        let service = cursor.service()?;
        return cursor.end("READY").map(|()| FromWorker::Ready { service, credit: 1 });
    }
    if command == codes.disconnect {
        return cursor.end("DISCONNECT").map(|()| FromWorker::Disconnect);
    }
    Err(PeerFault::Command)
}

fn decode_reply(part: Part, mut cursor: Cursor) -> Result<FromWorker, PeerFault> {
    let address = cursor.address()?;
    Ok(FromWorker::Reply { address, part, body: cursor.body()? })
}

fn push_addressed(frames: &mut Frames, address: Bytes, body: Frames) {
    frames.push(address);
    frames.push(Bytes::new());
    frames.extend(body);
}

/// The commands whose octet differs between 0.1 and 0.2.
struct Codes {
    partial: &'static [u8],
    last: &'static [u8],
    heartbeat: &'static [u8],
    disconnect: &'static [u8],
}

impl Codes {
    const fn of(dialect: Dialect) -> &'static Self {
        match dialect {
            Dialect::V01 => &Self { partial: &[3], last: &[3], heartbeat: &[4], disconnect: &[5] },
            Dialect::V02 | Dialect::V02Delimited | Dialect::V02Majortomo => {
                &Self { partial: &[3], last: &[4], heartbeat: &[5], disconnect: &[6] }
            }
        }
    }
}

const READY: &[u8] = &[1];
const REQUEST: &[u8] = &[2];
