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

/// Asks the broker at `endpoint` what it serves, with the patience of a [`LazyPirate`].
///
/// # Errors
/// As [`LazyPirate::services`].
pub async fn services(endpoint: impl Into<String>) -> Result<Vec<Service>, Error> {
    LazyPirate::new(endpoint).services().await
}

impl LazyPirate {
    /// Asks the broker what it serves, in the order in which it tells.
    ///
    /// # Errors
    /// [`Error::Refused`] by a broker that does not know the question, [`Error::BadReply`] for an answer that cannot be
    /// read, and those of [`request`](Self::request).
    pub async fn services(&mut self) -> Result<Vec<Service>, Error> {
        let reply = self.request(QUESTION, Frames::new()).await?;
        read(service_name(QUESTION.as_bytes())?, &reply.body)
    }
}

fn read(service: ServiceName, body: &Frames) -> Result<Vec<Service>, Error> {
    let status = body.first().map(AsRef::as_ref).unwrap_or_default();
    if status != code::OK {
        return Err(Error::Refused { service, status: String::from_utf8_lossy(status).into_owned() });
    }
    let lines = body.get(1).map(AsRef::as_ref).unwrap_or_default();
    let services: Result<_, _> = serde_json::Deserializer::from_slice(lines).into_iter().collect();
    services.map_err(|error| Error::BadReply { service, reason: error.to_string() })
}

const QUESTION: &str = "mmi.services";

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(body: impl Into<Frames>) -> Result<Vec<Service>, Error> {
        read(QUESTION.parse().unwrap(), &body.into())
    }

    #[test]
    fn each_line_is_a_service_and_no_line_is_none() {
        let lines = "{\"service\": \"echo\", \"workers\": 3, \"waiting\": 2, \"queued\": 0}\n\
                     {\"service\": \"MM\", \"workers\": 0, \"waiting\": 0, \"queued\": 7}\n";
        let service = |name: &str, workers, waiting, queued| Service { service: name.into(), workers, waiting, queued };
        assert_eq!(answer(["200", lines]), Ok(vec![service("echo", 3, 2, 0), service("MM", 0, 0, 7)]));
        assert_eq!(answer(["200", ""]), Ok(vec![]));
        assert_eq!(answer(["200"]), Ok(vec![]));
    }

    #[test]
    fn another_status_is_a_refusal_and_what_is_not_json_a_bad_reply() {
        let service: ServiceName = QUESTION.parse().unwrap();
        assert_eq!(answer(["501"]), Err(Error::Refused { service, status: "501".into() }));
        assert!(matches!(answer(["200", "{"]), Err(Error::BadReply { .. })));
    }
}
