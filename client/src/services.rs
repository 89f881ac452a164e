//! What does a broker serve? The question `mmi.services`, and its answer as values.
//!
//! ```text
//! reply: 200 | JSON lines {"service": "echo", "workers": 3, "waiting": 2, "queued": 0}
//! ```
//!
//! It is an extension of Majordomo's own broker; others answer `501` (RFC 8), which is [`Error::Refused`].

use protocol::mmi::code;
use protocol::{Frames, ServiceName};
use serde::{Deserialize, Serialize};

use crate::call::service_name;
use crate::error::Error;
use crate::lazy_pirate::LazyPirate;

/// One service of a broker.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Service {
    /// Its name.
    pub service: String,
    /// Live workers, idle or busy.
    pub workers: u64,
    /// Idle workers.
    pub waiting: u64,
    /// Requests that wait for a worker.
    pub queued: u64,
}

/// What a broker serves.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Listing {
    /// In the order in which the broker tells: that of their names.
    pub services: Vec<Service>,
    /// How many more did not fit into the answer; ask for a part of them by a pattern.
    pub more: u64,
}

/// Asks the broker at `endpoint` what it serves, with the patience of a [`LazyPirate`].
///
/// # Errors
/// As [`LazyPirate::services`].
pub async fn services(endpoint: impl Into<String>) -> Result<Listing, Error> {
    LazyPirate::new(endpoint).services().await
}

impl LazyPirate {
    /// Asks the broker what it serves.
    ///
    /// # Errors
    /// As [`services_like`](Self::services_like).
    pub async fn services(&mut self) -> Result<Listing, Error> {
        self.services_like(&[]).await
    }

    /// Asks the broker for services by name, or by the beginning of their names and a `*`; without any for all.
    ///
    /// # Errors
    /// [`Error::Refused`] by a broker that does not know the question, [`Error::BadReply`] for an answer that cannot be
    /// read, and those of [`request`](Self::request).
    pub async fn services_like(&mut self, patterns: &[&str]) -> Result<Listing, Error> {
        let body = patterns.iter().map(|pattern| bytes::Bytes::copy_from_slice(pattern.as_bytes()));
        let reply = self.request(QUESTION, body.collect::<Frames>()).await?;
        read(service_name(QUESTION.as_bytes())?, &reply.body)
    }
}

/// A line of the answer.
#[derive(Deserialize)]
#[serde(untagged)]
enum Line {
    More { more: u64 },
    Service(Service),
}

fn read(service: ServiceName, body: &Frames) -> Result<Listing, Error> {
    let status = body.first().map(AsRef::as_ref).unwrap_or_default();
    if status != code::OK {
        return Err(Error::Refused { service, status: String::from_utf8_lossy(status).into_owned() });
    }
    let lines = body.get(1).map(AsRef::as_ref).unwrap_or_default();
    let mut listing = Listing::default();
    for line in serde_json::Deserializer::from_slice(lines).into_iter() {
        match line.map_err(|error| Error::BadReply { service: service.clone(), reason: error.to_string() })? {
            Line::More { more } => listing.more = more,
            Line::Service(line) => listing.services.push(line),
        }
    }
    Ok(listing)
}

const QUESTION: &str = "mmi.services";

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(body: impl Into<Frames>) -> Result<Listing, Error> {
        read(QUESTION.parse().unwrap(), &body.into())
    }

    #[test]
    fn each_line_is_a_service_and_no_line_is_none() {
        let lines = "{\"service\": \"echo\", \"workers\": 3, \"waiting\": 2, \"queued\": 0}\n\
                     {\"service\": \"MM\", \"workers\": 0, \"waiting\": 0, \"queued\": 7}\n";
        let service = |name: &str, workers, waiting, queued| Service { service: name.into(), workers, waiting, queued };
        let services = vec![service("echo", 3, 2, 0), service("MM", 0, 0, 7)];
        assert_eq!(answer(["200", lines]), Ok(Listing { services, more: 0 }));
        assert_eq!(answer(["200", ""]), Ok(Listing::default()));
        assert_eq!(answer(["200"]), Ok(Listing::default()));
    }

    #[test]
    fn what_the_broker_left_off_is_counted() {
        let lines =
            "{\"service\": \"a\", \"workers\": 1, \"waiting\": 1, \"queued\": 0, \"later\": 1}\n{\"more\": 19999}\n";
        let listing = answer(["200", lines]).unwrap();
        assert_eq!((listing.services.len(), listing.more), (1, 19_999));
    }

    #[test]
    fn another_status_is_a_refusal_and_what_is_not_json_a_bad_reply() {
        let service: ServiceName = QUESTION.parse().unwrap();
        assert_eq!(answer(["501"]), Err(Error::Refused { service, status: "501".into() }));
        assert!(matches!(answer(["200", "{"]), Err(Error::BadReply { .. })));
    }
}
