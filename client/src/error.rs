//! What can go wrong with a request, by who is to blame.

use std::time::Duration;

use protocol::ServiceName;
use protocol::limits::SERVICE_NAME_BYTES_MAX;
use protocol::mdp::Dialect;
use protocol::mdp::v03::Status;

use crate::failed::{Failed, Failure};
use crate::patience::Silence;

/// Why a request has no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Nobody answered in time, in any attempt. The service may have run, or may still run.
    #[error(
        "no answer from service {service} at {endpoint}: {attempts} {} in {:.1} s, {}{}{}",
        if *attempts == 1 { "attempt" } else { "attempts" }, elapsed.as_secs_f64(),
        match (connected, mute) {
            (false, _) => "the broker was never reached",
            (true, false) => "the broker was reached",
            (true, true) => "the broker was reached and did not answer MDP 0.3",
        },
        if refusal.is_empty() { "" } else { ": " }, refusal
    )]
    Timeout {
        /// Where the broker was expected.
        endpoint: String,
        /// Who was asked.
        service: ServiceName,
        /// How often.
        attempts: u32,
        /// For how long in all.
        elapsed: Duration,
        /// Whether the request ever had a connection to travel on.
        connected: bool,
        /// Whether a connection stood and the broker did not say a word of MDP 0.3 on it: it may be an old one.
        mute: bool,
        /// Why the last attempt to connect came to nothing, as far as that is known; else empty.
        refusal: String,
    },
    /// The broker, or a worker, said why there is no answer (MDP 0.3). Nothing is gained by waiting any longer.
    #[error(
        "service {service} at {endpoint}: {}{}{} ({attempts} {} in {:.1} s)",
        failed.status, why(failed), advice(failed),
        if *attempts == 1 { "attempt" } else { "attempts" }, elapsed.as_secs_f64()
    )]
    Status {
        /// Where the broker is.
        endpoint: String,
        /// Who was asked.
        service: ServiceName,
        /// What was said: the status, why, and what to do.
        failed: Box<Failed>,
        /// How often it was asked.
        attempts: u32,
        /// For how long in all.
        elapsed: Duration,
    },
    /// Parts of the answer were lost on the way, in every attempt that was allowed. The service has run.
    #[error("the answer of service {service} at {endpoint} has a hole")]
    Incomplete {
        /// Where the broker is.
        endpoint: String,
        /// Who answered.
        service: ServiceName,
    },
    /// The request is to run once at most, and the broker does not speak MDP 0.3. It was not run.
    #[error("service {service} is to run once at most, and the broker at {endpoint} does not speak MDP 0.3")]
    NotNative {
        /// Where the broker is.
        endpoint: String,
        /// Who was asked.
        service: ServiceName,
    },
    /// The broker did not let us in, or we did not trust it. The request was not sent.
    #[error("refused by {endpoint}: {reason}")]
    NotLetIn {
        /// Where the broker is.
        endpoint: String,
        /// Why, and where to look.
        reason: String,
    },
    /// The service answered with a status that means no.
    #[error("service {service} answered {status}")]
    Refused {
        /// Who answered.
        service: ServiceName,
        /// What: the status, and its reason if there was one.
        status: String,
    },
    /// The service answered with something that its protocol does not know.
    #[error("service {service} answered what makes no sense: {reason}")]
    BadReply {
        /// Who answered.
        service: ServiceName,
        /// What is wrong with it.
        reason: String,
    },
    /// The reply is larger than this client collects.
    #[error("reply of more than {max} bytes")]
    TooLarge {
        /// The limit.
        max: usize,
    },
    /// Another request of this client that is under way has the same id. This one was not sent.
    #[error("another request under way has the same id")]
    IdInUse,
    /// As many requests are under way as are allowed.
    #[error("{max} requests are under way, and no more are allowed")]
    Full {
        /// The limit.
        max: usize,
    },
    /// Parts of the reply came faster than they were taken.
    #[error("parts of the reply were not taken in time: more than {max} wait")]
    Lagging {
        /// How many may wait.
        max: usize,
    },
    /// The client's task is gone: its runtime ended.
    #[error("the client is closed")]
    Closed,
    /// The caller asked for something that cannot work.
    #[error(transparent)]
    Misuse(#[from] Misuse),
}

/// A call that cannot work. The text names the value and what is allowed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Misuse {
    /// The service's name is empty or too long.
    #[error("service name of {bytes} bytes (allowed: 1 to {SERVICE_NAME_BYTES_MAX})")]
    ServiceName {
        /// How long it is.
        bytes: usize,
    },
    /// The body cannot travel in one message.
    #[error("body of {frames} frames and {bytes} bytes (allowed: {frames_max} and {bytes_max})")]
    Body {
        /// Frames of the body.
        frames: usize,
        /// Bytes of the body.
        bytes: usize,
        /// Frames that are allowed.
        frames_max: usize,
        /// Bytes that are allowed.
        bytes_max: usize,
    },
    /// No time to wait for an answer.
    #[error("timeout 0 (allowed: more than 0)")]
    Timeout,
    /// A request that is never sent, or more often than attempts can be numbered.
    #[error("retries {0} (allowed: 1 to {max})", max = u8::MAX)]
    Retries(u32),
    /// A request that may run once, and is to be asked anew when nobody answers.
    #[error("a request that is to run once at most cannot be resent: choose another mode of timeouts")]
    ResentOnce,
    /// A request with an id of its own that is to be asked anew, which takes another id.
    #[error("a request with a chosen id cannot be resent under another: choose another mode of timeouts")]
    ResentId,
    /// The one id that no request may have.
    #[error("id of zeros (allowed: any other)")]
    ZeroId,
    /// The operating system gives no random numbers, which an id is made of.
    #[error("no random numbers: {0}")]
    NoRandom(String),
    /// An option that cannot be sent.
    #[error("option {name}: {reason}")]
    Option {
        /// Which one.
        name: &'static str,
        /// What is wrong with its value.
        reason: String,
    },
    /// No request could ever be under way.
    #[error("in_flight_max 0 (allowed: 1 or more)")]
    InFlight,
    /// The dialect has no place for the number that tells replies apart.
    #[error("{0:?} has no envelope for request numbers: choose V01 or V02Delimited, or one request at a time")]
    NoEnvelope(Dialect),
    /// The endpoint cannot be read.
    #[error("endpoint {endpoint:?}: {reason}")]
    Endpoint {
        /// As it was given.
        endpoint: String,
        /// What is wrong with it.
        reason: String,
    },
}

impl Error {
    /// What became of a request to `service` that nobody answered, as its machine saw it; `refusal` says why the last
    /// attempt to connect came to nothing, empty where that is not known.
    pub fn silence(endpoint: impl Into<String>, service: ServiceName, silence: Silence, refusal: String) -> Self {
        let (endpoint, Silence { attempts, elapsed, connected, refused, mute }) = (endpoint.into(), silence);
        if refused {
            return Self::NotLetIn { endpoint, reason: refusal };
        }
        Self::Timeout { endpoint, service, attempts, elapsed, connected, mute, refusal }
    }

    /// A request to `service` that ended without an answer, as its machine saw it; `refusal` as in
    /// [`silence`](Self::silence).
    pub fn without_answer(
        endpoint: impl Into<String>,
        service: ServiceName,
        failure: Failure,
        refusal: String,
    ) -> Self {
        let endpoint = endpoint.into();
        match failure {
            Failure::Silence(silence) => Self::silence(endpoint, service, silence, refusal),
            Failure::Status { failed, attempts, elapsed } => Self::failed(endpoint, service, failed, attempts, elapsed),
            Failure::Broken => Self::Incomplete { endpoint, service },
            Failure::NotNative => Self::NotNative { endpoint, service },
            Failure::IdInUse => Self::IdInUse,
            Failure::Full { max } => Self::Full { max },
        }
    }

    /// A request to `service` that was answered with the reason why there is no answer.
    pub fn failed(
        endpoint: impl Into<String>,
        service: ServiceName,
        failed: Failed,
        attempts: u32,
        elapsed: Duration,
    ) -> Self {
        Self::Status { endpoint: endpoint.into(), service, failed: Box::new(failed), attempts, elapsed }
    }

    /// The status of a request that was answered with one.
    pub fn status(&self) -> Option<Status> {
        match self {
            Self::Status { failed, .. } => Some(failed.status),
            _ => None,
        }
    }
}

/// The reason, where it says more than the status.
fn why(Failed { status, reason, .. }: &Failed) -> String {
    if reason.is_empty() || reason == status.words() { String::new() } else { format!(": {}", shown(reason)) }
}

/// What the caller may do.
fn advice(Failed { retry_after, endpoints, .. }: &Failed) -> String {
    let wait = retry_after.map(|wait| format!("; ask again in {:.1} s", wait.as_secs_f64())).unwrap_or_default();
    if endpoints.is_empty() { wait } else { format!("{wait}; ask {} instead", shown(&endpoints.join(" or "))) }
}

/// Text of a peer on one line, with nothing in it that a terminal would obey.
fn shown(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { c.escape_default().to_string() } else { c.to_string() }).collect()
}

#[cfg(test)]
mod tests {
    use protocol::Frames;

    use super::*;

    #[test]
    fn a_timeout_says_where_how_often_how_long_and_whether_anybody_was_there() {
        let error = |attempts, connected, refusal: &str| {
            let elapsed = Duration::from_millis(2500) * attempts;
            let silence = Silence { attempts, elapsed, connected, refused: false, mute: attempts == 2 };
            Error::silence("tcp://127.0.0.1:5555", "echo".parse().unwrap(), silence, refusal.to_owned()).to_string()
        };
        assert_eq!(
            error(3, false, ""),
            "no answer from service echo at tcp://127.0.0.1:5555: 3 attempts in 7.5 s, the broker was never reached"
        );
        assert!(error(1, true, "").ends_with("1 attempt in 2.5 s, the broker was reached"));
        assert!(error(2, true, "").ends_with("the broker was reached and did not answer MDP 0.3"));
        assert!(error(1, false, "it hung up").ends_with("the broker was never reached: it hung up"));
    }

    #[test]
    fn a_refusal_says_by_whom_and_why() {
        let silence = Silence { attempts: 1, elapsed: Duration::ZERO, connected: false, refused: true, mute: false };
        let error = Error::silence("tcp://127.0.0.1:5555", "echo".parse().unwrap(), silence, "400".to_owned());
        assert_eq!(error.to_string(), "refused by tcp://127.0.0.1:5555: 400");
    }

    #[test]
    fn a_status_says_which_one_why_and_what_to_do() {
        let error = |code, reason: &str, retry_after, endpoints: &[&str]| {
            let endpoints = endpoints.iter().map(|endpoint| (*endpoint).to_owned()).collect();
            let status = Status::new(code).unwrap();
            let failed = Failed { status, reason: reason.to_owned(), retry_after, endpoints, body: Frames::new() };
            let elapsed = Duration::from_millis(120);
            Error::failed("tcp://127.0.0.1:5555", "echo".parse().unwrap(), failed, 1, elapsed).to_string()
        };
        assert_eq!(
            error(404, "", None, &[]),
            "service echo at tcp://127.0.0.1:5555: 404 no such service (1 attempt in 0.1 s)"
        );
        let wait = Some(Duration::from_millis(1500));
        assert!(
            error(429, "queue\nfull", wait, &[]).contains("429 too many requests: queue\\nfull; ask again in 1.5 s (")
        );
        assert!(error(403, "not allowed", None, &[]).contains("403 not allowed ("));
        assert!(error(503, "", None, &["tcp://a:1", "tcp://b:2"]).contains("; ask tcp://a:1 or tcp://b:2 instead ("));
    }
}
