//! What travels between a client and a broker, behind `MDPC03` and the command.
//!
//! ```text
//! REQUEST   2   id (16)  length (1) service  options         body+     client to broker
//! PARTIAL   3   id (16)  part (4)                            body+     broker to client
//! FINAL     4   id (16)  parts (4)  status (2)  options      body*     broker to client
//! CANCEL    5   id (16)                                                client to broker
//! DRAIN     7   grace (4)  length (1) service  options                 broker to client
//! HEARTBEAT 8                                                          both
//! ```

use std::ops::Range;

use super::head::{Reader, Writer, narrowed};
use super::notice::{Drain, Outcome};
use super::options::Options;
use super::terms::Terms;
use super::{CLIENT_HEADER, Rejected, command};
use crate::fault::PeerFault;
use crate::frames::Frames;
use crate::identity::{RequestId, ServiceName};

/// What a client says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FromClient {
    /// Do this.
    Request(Request),
    /// I do not want it any more.
    Cancel(RequestId),
    /// Are you there, and do you speak 0.3?
    Heartbeat,
}

/// What a client asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// The client's number for it, the same in each retry.
    pub id: RequestId,
    /// Who shall do it.
    pub service: ServiceName,
    /// By when, how urgently, how often.
    pub terms: Terms,
    /// One frame or more, not looked into.
    pub body: Frames,
}

/// What a broker says to a client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ToClient {
    /// A part of the answer; more follow.
    Partial {
        /// The client's number.
        id: RequestId,
        /// How many parts came before.
        part: u32,
        /// One frame or more.
        body: Frames,
    },
    /// The end of the request, once for each.
    Final {
        /// The client's number.
        id: RequestId,
        /// How it ended.
        outcome: Outcome,
        /// One frame or more on success; else perhaps none.
        body: Frames,
    },
    /// The broker, or one of its services, is about to leave.
    Drain(Drain),
    /// I am there, and I speak 0.3.
    Heartbeat,
}

impl FromClient {
    /// Decodes a message at a broker.
    ///
    /// # Errors
    /// The broken rule, and the request that it is about if that could be read.
    pub fn decode(mut message: Frames) -> Result<Self, Rejected> {
        let frame = message.pop_front().ok_or(PeerFault::Header)?;
        let (command, mut head) = Reader::open(&frame, CLIENT_HEADER)?;
        let body = message;
        match command {
            command::REQUEST => {
                let id = head.request_id()?;
                let parts = Request::read(head, &body).map_err(|fault| Rejected { request: Some(id), fault })?;
                let (service, mut terms, passed_on) = parts;
                if passed_on > 0 {
                    terms.passed_on = Options::tail(&frame, passed_on);
                }
                let service = ServiceName::new(narrowed(frame, service))?;
                Ok(Self::Request(Request { id, service, terms, body }))
            }
            command::CANCEL => {
                let id = head.request_id()?;
                head.end(&body, "CANCEL")?;
                Ok(Self::Cancel(id))
            }
            command::HEARTBEAT => {
                head.end(&body, "HEARTBEAT")?;
                Ok(Self::Heartbeat)
            }
            _ => Err(PeerFault::Command.into()),
        }
    }

    /// The message as a client sends it.
    pub fn encode(self) -> Frames {
        match self {
            Self::Request(request) => request.encode(),
            Self::Cancel(id) => Writer::new(CLIENT_HEADER, command::CANCEL, 16).put(id.0).alone(),
            Self::Heartbeat => Writer::new(CLIENT_HEADER, command::HEARTBEAT, 0).alone(),
        }
    }
}

impl Request {
    /// What follows the id: where the name of the service stands, the terms but for what is passed on, and how many
    /// octets that has, at the end of the head.
    fn read(mut head: Reader<'_>, body: &Frames) -> Result<(Range<usize>, Terms, usize), PeerFault> {
        let service = head.service_range()?;
        let (terms, passed_on) = Terms::decode(head.rest())?;
        if body.is_empty() {
            return Err(PeerFault::Missing("body"));
        }
        Ok((service, terms, passed_on))
    }

    fn encode(self) -> Frames {
        let octets_after = 17 + self.service.as_bytes().len() + self.terms.octet_count();
        let head = Writer::new(CLIENT_HEADER, command::REQUEST, octets_after);
        let mut head = head.put(self.id.0).service(&self.service);
        self.terms.write(head.octets());
        head.before(self.body)
    }
}

impl Outcome {
    /// FINAL as a broker sends it to a client: [`ToClient::Final`].
    pub fn encode_final(&self, id: RequestId, body: Frames) -> Frames {
        let head = Writer::new(CLIENT_HEADER, command::FINAL, 16 + self.octet_count()).put(id.0);
        self.write(head).before(body)
    }
}

impl ToClient {
    /// Decodes a message at a client.
    ///
    /// # Errors
    /// The [`PeerFault`] that names the rule which the broker broke.
    pub fn decode(mut message: Frames) -> Result<Self, PeerFault> {
        let head = message.pop_front().ok_or(PeerFault::Header)?;
        let (command, mut head) = Reader::open(&head, CLIENT_HEADER)?;
        let body = message;
        match command {
            command::PARTIAL => {
                let (id, part) = (head.request_id()?, head.u32("number of the part")?);
                head.end(&Frames::new(), "the head of PARTIAL")?;
                if body.is_empty() {
                    return Err(PeerFault::Missing("body"));
                }
                Ok(Self::Partial { id, part, body })
            }
            command::FINAL => {
                let (id, outcome) = (head.request_id()?, Outcome::decode(head)?);
                outcome.check_body(&body)?;
                Ok(Self::Final { id, outcome, body })
            }
            command::DRAIN => Drain::decode(head, &body).map(Self::Drain),
            command::HEARTBEAT => {
                head.end(&body, "HEARTBEAT")?;
                Ok(Self::Heartbeat)
            }
            _ => Err(PeerFault::Command),
        }
    }

    /// The message as a broker sends it.
    pub fn encode(self) -> Frames {
        match self {
            Self::Partial { id, part, body } => {
                Writer::new(CLIENT_HEADER, command::PARTIAL, 20).put(id.0).put(part.to_be_bytes()).before(body)
            }
            Self::Final { id, outcome, body } => outcome.encode_final(id, body),
            Self::Drain(drain) => drain.encode(CLIENT_HEADER),
            Self::Heartbeat => Writer::new(CLIENT_HEADER, command::HEARTBEAT, 0).alone(),
        }
    }
}
