//! READY: how a worker announces itself, and what it offers.
//!
//! ```text
//! frame 1     MDPW03 1  credit (4)  interval (4)  options: NAME, VERSION, DESCRIPTION
//! frame 2…    length (1) service  options: VERSION, DESCRIPTION, SCHEMA              a service each, 1 to 64
//! ```

use std::time::Duration;

use super::head::{Reader, Writer};
use super::options::Options;
use super::{WORKER_HEADER, command, worker};
use crate::fault::PeerFault;
use crate::frames::Frames;
use crate::identity::ServiceName;
use crate::limits::{OFFER_OPTIONS_BYTES_MAX, OPTIONS_BYTES_MAX, READY_BYTES_MAX, SERVICES_PER_WORKER_MAX};

/// A worker's announcement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ready {
    /// How many requests it takes at once, over all its services.
    pub credit: u32,
    /// How often it is going to show that it lives.
    pub interval: Duration,
    /// Its name, version and description.
    pub options: Options,
    /// What it offers; 1 to 64 services.
    pub offers: Vec<Offer>,
}

/// One service that a worker offers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Offer {
    /// Its name.
    pub service: ServiceName,
    /// Its version, description and schema.
    pub options: Options,
}

impl Ready {
    pub(super) fn decode(mut head: Reader<'_>, head_bytes: usize, body: Frames) -> Result<Self, PeerFault> {
        let value = |what, value: usize, allowed| Err(PeerFault::Value { what, value: value as u64, allowed });
        if head_bytes + body.byte_count() > READY_BYTES_MAX {
            return value("READY in bytes", head_bytes + body.byte_count(), "65536");
        }
        if body.is_empty() || body.len() > SERVICES_PER_WORKER_MAX {
            return value("number of services", body.len(), "1 to 64");
        }
        let credit = worker::decode_credit(&mut head)?;
        let interval = worker::decode_interval(&mut head)?;
        let options = head.options(OPTIONS_BYTES_MAX)?;
        let mut offers: Vec<Offer> = Vec::with_capacity(body.len());
        for frame in body {
            let mut reader = Reader::plain(&frame);
            let service = reader.service()?;
            if offers.iter().any(|offer| offer.service == service) {
                return Err(PeerFault::Repeated("a service in READY"));
            }
            offers.push(Offer { service, options: reader.options(OFFER_OPTIONS_BYTES_MAX)? });
        }
        Ok(Self { credit, interval, options, offers })
    }

    pub(super) fn encode(&self) -> Frames {
        let mut frames = Frames::with_capacity(1 + self.offers.len());
        let head = Writer::new(WORKER_HEADER, command::READY, 8 + self.options.as_bytes().len());
        let head = head.put(self.credit.to_be_bytes()).duration(self.interval).put(self.options.as_bytes());
        frames.push(head.into_frame());
        for Offer { service, options } in &self.offers {
            let frame = Writer::plain(1 + service.as_bytes().len() + options.as_bytes().len());
            frames.push(frame.service(service).put(options.as_bytes()).into_frame());
        }
        frames
    }
}
