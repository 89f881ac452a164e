//! What travels between a client and a broker.
//!
//! ```text
//!             0.1                    0.2              0.2 delimited          majortomo
//! REQUEST     "" MDPC01 service      MDPC02 01 service    "" MDPC02 01 service   "" MDPC02 02 service   body+
//! PARTIAL     -                      MDPC02 02 service    "" MDPC02 02 service   "" MDPC02 03           body+
//! FINAL       "" MDPC01 service      MDPC02 03 service    "" MDPC02 03 service   "" MDPC02 04           body+
//! ```
//!
//! Frames before the empty one (the envelope) are the client's own and come back with each reply.

use bytes::Bytes;

use super::cursor::Cursor;
use super::dialect::Dialect;
use crate::fault::PeerFault;
use crate::frames::Frames;
use crate::identity::ServiceName;

/// A request of 0.1 or 0.2.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// How the client speaks, and so how it is answered.
    pub dialect: Dialect,
    /// The client's own frames, returned with each reply.
    pub envelope: Frames,
    /// Who shall do it.
    pub service: ServiceName,
    /// One frame or more, not looked into.
    pub body: Frames,
}

/// A reply as a client sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// The frames that the client put before the empty one of its request.
    pub envelope: Frames,
    /// The service that answered; `None` in the one dialect that omits it.
    pub service: Option<ServiceName>,
    /// Whether more parts follow.
    pub part: Part,
    /// One frame or more.
    pub body: Frames,
}

/// The place of a message in the stream of replies to one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// More follow.
    Partial,
    /// The last one; the only one in 0.1.
    Final,
}

impl Request {
    /// A request, with the envelope that its reply is to come back in.
    pub fn new(dialect: Dialect, envelope: Frames, service: ServiceName, body: Frames) -> Self {
        Self { dialect, envelope, service, body }
    }

    /// The request as a client sends it.
    pub fn encode(&self) -> Frames {
        let mut frames = Frames::with_capacity(self.envelope.len() + 4 + self.body.len());
        if self.dialect.is_delimited() {
            frames.extend(self.envelope.iter().cloned());
            frames.push(Bytes::new());
        }
        frames.push(self.dialect.client_header());
        match self.dialect {
            Dialect::V01 => {}
            Dialect::V02 | Dialect::V02Delimited => frames.push(REQUEST),
            Dialect::V02Majortomo => frames.push(MAJORTOMO_REQUEST),
        }
        frames.push(self.service.to_frame());
        frames.extend(self.body.iter().cloned());
        frames
    }
}

/// A reply as a broker sends it. A dialect without PARTIAL has to be given [`Part::Final`] only.
pub fn encode_reply(dialect: Dialect, envelope: Frames, service: &ServiceName, part: Part, body: Frames) -> Frames {
    let mut frames = Frames::with_capacity(envelope.len() + 4 + body.len());
    if dialect.is_delimited() {
        frames.extend(envelope);
        frames.push(Bytes::new());
    }
    frames.push(dialect.client_header());
    match (dialect, part) {
        (Dialect::V01, _) => {}
        (Dialect::V02 | Dialect::V02Delimited, Part::Partial) => frames.push(PARTIAL),
        (Dialect::V02 | Dialect::V02Delimited, Part::Final) => frames.push(FINAL),
        (Dialect::V02Majortomo, Part::Partial) => frames.push(MAJORTOMO_PARTIAL),
        (Dialect::V02Majortomo, Part::Final) => frames.push(MAJORTOMO_FINAL),
    }
    if dialect != Dialect::V02Majortomo {
        frames.push(service.to_frame());
    }
    frames.extend(body);
    frames
}

/// Decodes a reply at a client that speaks `dialect`.
///
/// # Errors
/// The [`PeerFault`] that names the rule which the broker broke.
pub fn decode_reply(dialect: Dialect, message: Frames) -> Result<Reply, PeerFault> {
    let (envelope, rest) = match dialect {
        Dialect::V02 => (Frames::new(), message),
        Dialect::V01 | Dialect::V02Delimited | Dialect::V02Majortomo => super::split_envelope(message)?,
    };
    let mut cursor = Cursor::new(rest);
    cursor.header(dialect.client_header())?;
    let part = match dialect {
        Dialect::V01 => Part::Final,
        Dialect::V02 | Dialect::V02Delimited => part(cursor.command()?, PARTIAL, FINAL)?,
        Dialect::V02Majortomo => part(cursor.command()?, MAJORTOMO_PARTIAL, MAJORTOMO_FINAL)?,
    };
    let service = match dialect {
        Dialect::V02Majortomo => None,
        Dialect::V01 | Dialect::V02 | Dialect::V02Delimited => Some(cursor.service()?),
    };
    Ok(Reply { envelope, service, part, body: cursor.body()? })
}

fn part(command: u8, partial: &[u8], last: &[u8]) -> Result<Part, PeerFault> {
    match [command] {
        command if command == partial => Ok(Part::Partial),
        command if command == last => Ok(Part::Final),
        _ => Err(PeerFault::Command),
    }
}

/// Decodes what follows `MDPC01` at a broker.
pub(super) fn decode_01(envelope: Frames, rest: Frames) -> Result<Request, PeerFault> {
    decode_request(Dialect::V01, envelope, Cursor::new(rest))
}

/// Decodes what follows `MDPC02` at a broker, without an empty frame before it.
pub(super) fn decode_pure(rest: Frames) -> Result<Request, PeerFault> {
    let mut cursor = Cursor::new(rest);
    match [cursor.command()?].as_slice() {
        REQUEST => decode_request(Dialect::V02, Frames::new(), cursor),
        _ => Err(PeerFault::Command),
    }
}

/// Decodes what follows `MDPC02` at a broker, behind an empty frame.
pub(super) fn decode_delimited(envelope: Frames, rest: Frames) -> Result<Request, PeerFault> {
    let mut cursor = Cursor::new(rest);
    match [cursor.command()?].as_slice() {
        REQUEST => decode_request(Dialect::V02Delimited, envelope, cursor),
        MAJORTOMO_REQUEST => decode_request(Dialect::V02Majortomo, envelope, cursor),
        _ => Err(PeerFault::Command),
    }
}

fn decode_request(dialect: Dialect, envelope: Frames, mut cursor: Cursor) -> Result<Request, PeerFault> {
    let service = cursor.service()?;
    Ok(Request::new(dialect, envelope, service, cursor.body()?))
}

const REQUEST: &[u8] = &[1];
const PARTIAL: &[u8] = &[2];
const FINAL: &[u8] = &[3];
const MAJORTOMO_REQUEST: &[u8] = &[2];
const MAJORTOMO_PARTIAL: &[u8] = &[3];
const MAJORTOMO_FINAL: &[u8] = &[4];
