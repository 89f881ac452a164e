//! What travels between a worker and a broker, behind `MDPW03` and the command.
//!
//! ```text
//! READY      1   credit (4)  interval (4)  options           service+  worker to broker: see `ready`
//! REQUEST    2   job (8)  attempt (1)  remaining (4)  id (16)
//!                length (1) service  options                 body+     broker to worker
//! PARTIAL    3   job (8)  part (4)                           body+     worker to broker
//! FINAL      4   job (8)  parts (4)  status (2)  options     body*     worker to broker
//! CANCEL     5   job (8)                                               broker to worker
//! CREDIT     6   credit (4)                                            worker to broker
//! DRAIN      7   grace (4)  length (1) service  options                both
//! HEARTBEAT  8   interval (4)                                          both
//! DISCONNECT 9   status (2)  options                                   both
//! ```

use std::time::Duration;

use super::head::{NO_ID, Reader, Writer, millis};
use super::id::JobNumber;
use super::notice::{Drain, Outcome, alone};
use super::options::Options;
use super::ready::Ready;
use super::status::Status;
use super::{WORKER_HEADER, command};
use crate::fault::PeerFault;
use crate::frames::Frames;
use crate::identity::{RequestId, ServiceName};
use crate::limits::{CREDIT_MAX, HEARTBEAT_INTERVAL_MAX, OPTIONS_BYTES_MAX};

/// What a worker says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FromWorker {
    /// I offer services.
    Ready(Ready),
    /// A part of an answer; more follow.
    Partial {
        /// The number that came with the request.
        job: JobNumber,
        /// How many parts came before.
        part: u32,
        /// One frame or more.
        body: Frames,
    },
    /// The end of a job, once for each.
    Final {
        /// The number that came with the request.
        job: JobNumber,
        /// How it ended.
        outcome: Outcome,
        /// One frame or more on success; else perhaps none.
        body: Frames,
    },
    /// From now on I take so many requests at once.
    Credit(u32),
    /// I am about to leave, or give up a service: send no more, I finish what I have.
    Drain(Drain),
    /// I live, and say so this often.
    Heartbeat(Duration),
    /// I leave.
    Disconnect(Farewell),
}

/// What a broker says to a worker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ToWorker {
    /// Do this.
    Request(Request),
    /// Nobody waits for this job any more.
    Cancel(JobNumber),
    /// No more requests will come, of this service or at all; finish what you have.
    Drain(Drain),
    /// I live, and say so this often. Also the answer to READY.
    Heartbeat(Duration),
    /// Do not speak to me any more on this connection.
    Disconnect(Farewell),
}

/// A request as a worker gets it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// To be returned with each part of the answer.
    pub job: JobNumber,
    /// 1 for the first worker that is given this request, and so on; 255 stays 255.
    pub attempt: u8,
    /// After this nobody waits; `None` when there is no end. Milliseconds on the wire.
    pub remaining: Option<Duration>,
    /// The client's number, the same in each attempt and retry; `None` for clients of older dialects.
    pub id: Option<RequestId>,
    /// Which of the worker's services.
    pub service: ServiceName,
    /// What the client passed on: trace context, and what else goes from end to end.
    pub options: Options,
    /// One frame or more.
    pub body: Frames,
}

/// What a DISCONNECT says: why, when to come again, where to go instead.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Farewell {
    /// Three digits; 200 for a worker that leaves because it is done.
    pub status: Status,
    /// A reason and hints.
    pub options: Options,
}

impl FromWorker {
    /// Decodes a message at a broker.
    ///
    /// # Errors
    /// The [`PeerFault`] that names the rule which the worker broke.
    pub fn decode(mut message: Frames) -> Result<Self, PeerFault> {
        let frame = message.pop_front().ok_or(PeerFault::Header)?;
        let (command, mut head) = Reader::open(&frame, WORKER_HEADER)?;
        let body = message;
        match command {
            command::FINAL => {
                let (job, outcome) = (head.job()?, Outcome::decode(head)?);
                outcome.check_body(&body)?;
                Ok(Self::Final { job, outcome, body })
            }
            command::PARTIAL => {
                let (job, part) = (head.job()?, head.u32("number of the part")?);
                head.end(&Frames::new(), "the head of PARTIAL")?;
                if body.is_empty() {
                    return Err(PeerFault::Missing("body"));
                }
                Ok(Self::Partial { job, part, body })
            }
            command::CREDIT => {
                let credit = decode_credit(&mut head)?;
                head.end(&body, "CREDIT")?;
                Ok(Self::Credit(credit))
            }
            command::HEARTBEAT => decode_heartbeat(head, &body).map(Self::Heartbeat),
            command::READY => Ready::decode(head, frame.len(), body).map(Self::Ready),
            command::DRAIN => Drain::decode(head, &body).map(Self::Drain),
            command::DISCONNECT => Farewell::decode(head, &body).map(Self::Disconnect),
            _ => Err(PeerFault::Command),
        }
    }

    /// The message as a worker sends it.
    pub fn encode(self) -> Frames {
        match self {
            Self::Ready(ready) => ready.encode(),
            Self::Partial { job, part, body } => {
                Writer::new(WORKER_HEADER, command::PARTIAL, 12).job(job).put(part.to_be_bytes()).before(body)
            }
            Self::Final { job, outcome, body } => {
                let head = Writer::new(WORKER_HEADER, command::FINAL, 8 + outcome.octet_count()).job(job);
                outcome.write(head).before(body)
            }
            Self::Credit(credit) => Writer::new(WORKER_HEADER, command::CREDIT, 4).put(credit.to_be_bytes()).alone(),
            Self::Drain(drain) => drain.encode(WORKER_HEADER),
            Self::Heartbeat(interval) => encode_heartbeat(interval),
            Self::Disconnect(farewell) => farewell.encode(),
        }
    }
}

impl ToWorker {
    /// Decodes a message at a worker.
    ///
    /// # Errors
    /// The [`PeerFault`] that names the rule which the broker broke.
    pub fn decode(mut message: Frames) -> Result<Self, PeerFault> {
        let head = message.pop_front().ok_or(PeerFault::Header)?;
        let (command, mut head) = Reader::open(&head, WORKER_HEADER)?;
        let body = message;
        match command {
            command::REQUEST => Request::decode(head, body).map(Self::Request),
            command::CANCEL => {
                let job = head.job()?;
                head.end(&body, "CANCEL")?;
                Ok(Self::Cancel(job))
            }
            command::DRAIN => Drain::decode(head, &body).map(Self::Drain),
            command::HEARTBEAT => decode_heartbeat(head, &body).map(Self::Heartbeat),
            command::DISCONNECT => Farewell::decode(head, &body).map(Self::Disconnect),
            _ => Err(PeerFault::Command),
        }
    }

    /// The message as a broker sends it.
    pub fn encode(self) -> Frames {
        match self {
            Self::Request(request) => request.encode(),
            Self::Cancel(job) => Writer::new(WORKER_HEADER, command::CANCEL, 8).job(job).alone(),
            Self::Drain(drain) => drain.encode(WORKER_HEADER),
            Self::Heartbeat(interval) => encode_heartbeat(interval),
            Self::Disconnect(farewell) => farewell.encode(),
        }
    }
}

impl Request {
    fn decode(mut head: Reader<'_>, body: Frames) -> Result<Self, PeerFault> {
        let job = head.job()?;
        let attempt = head.octet("attempt")?;
        if attempt == 0 {
            return Err(PeerFault::Value { what: "attempt", value: 0, allowed: "1 to 255" });
        }
        let remaining = Some(head.u32("remaining time")?).filter(|millis| *millis != NO_END);
        let remaining = remaining.map(|millis| Duration::from_millis(u64::from(millis)));
        let id = head.optional_request_id()?;
        let service = head.service()?;
        let options = head.options(OPTIONS_BYTES_MAX)?;
        if body.is_empty() {
            return Err(PeerFault::Missing("body"));
        }
        Ok(Self { job, attempt, remaining, id, service, options, body })
    }

    fn encode(self) -> Frames {
        let Self { job, attempt, remaining, id, service, options, body } = self;
        Self::write(job, attempt, remaining, id, (&service, &options), body)
    }

    /// REQUEST, of parts that belong to somebody else.
    pub fn write(
        job: JobNumber,
        attempt: u8,
        remaining: Option<Duration>,
        id: Option<RequestId>,
        (service, options): (&ServiceName, &Options),
        body: Frames,
    ) -> Frames {
        let octets_after = 30 + service.as_bytes().len() + options.as_bytes().len();
        let remaining = remaining.map_or(NO_END, |remaining| millis(remaining).min(NO_END - 1));
        let head = Writer::new(WORKER_HEADER, command::REQUEST, octets_after).job(job).put([attempt]);
        let head = head.put(remaining.to_be_bytes()).put(id.map_or(NO_ID, |id| id.0));
        head.service(service).put(options.as_bytes()).before(body)
    }
}

impl Farewell {
    fn decode(mut head: Reader<'_>, body: &Frames) -> Result<Self, PeerFault> {
        alone(body, "DISCONNECT")?;
        Ok(Self { status: head.status()?, options: head.options(OPTIONS_BYTES_MAX)? })
    }

    fn encode(&self) -> Frames {
        let head = Writer::new(WORKER_HEADER, command::DISCONNECT, 2 + self.options.as_bytes().len());
        head.put(self.status.code().to_be_bytes()).put(self.options.as_bytes()).alone()
    }
}

/// A credit, which is the whole and not what is added: it cannot overflow.
pub(super) fn decode_credit(head: &mut Reader<'_>) -> Result<u32, PeerFault> {
    match head.u32("credit")? {
        credit @ 0..=CREDIT_MAX => Ok(credit),
        credit => Err(PeerFault::Value { what: "credit", value: u64::from(credit), allowed: "0 to 65536" }),
    }
}

/// An interval between heartbeats.
pub(super) fn decode_interval(head: &mut Reader<'_>) -> Result<Duration, PeerFault> {
    let interval = head.duration("heartbeat interval")?;
    if interval.is_zero() || interval > HEARTBEAT_INTERVAL_MAX {
        let value = u64::from(millis(interval));
        return Err(PeerFault::Value { what: "heartbeat interval in ms", value, allowed: "1 to 60000" });
    }
    Ok(interval)
}

fn decode_heartbeat(mut head: Reader<'_>, body: &Frames) -> Result<Duration, PeerFault> {
    let interval = decode_interval(&mut head)?;
    head.end(body, "HEARTBEAT")?;
    Ok(interval)
}

fn encode_heartbeat(interval: Duration) -> Frames {
    Writer::new(WORKER_HEADER, command::HEARTBEAT, 4).duration(interval).alone()
}

/// What stands for "no end" in the remaining time of a REQUEST.
const NO_END: u32 = u32::MAX;
