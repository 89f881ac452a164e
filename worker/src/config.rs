//! What a worker session is told once, and what of it makes no sense.

use std::time::Duration;

use protocol::ServiceName;
use protocol::limits::{CREDIT_MAX, HEARTBEAT_INTERVAL, HEARTBEAT_LIVENESS, READY_BYTES_MAX, SERVICES_PER_WORKER_MAX};
use protocol::mdp::Dialect;
use protocol::mdp::v03::{Offer, Options};

use crate::speech::Speech;

/// The settings of one [`Session`](crate::Session). [`Config::new`] has the defaults; [`Config::check`] says what is
/// wrong.
#[derive(Clone, Debug)]
pub struct Config {
    /// The services that are offered, each once, with their metadata. An old dialect has room for one: the first.
    pub offers: Vec<Offer>,
    /// Name, version and description of the worker itself.
    pub about: Options,
    /// How each new connection is begun. Brokers other than ours mostly know 0.1 only.
    pub speech: Speech,
    /// What is spoken, for one connection, with a broker that does not answer MDP 0.3. `None` goes on trying 0.3.
    ///
    /// A worker falls back unless told otherwise: nothing has run by then, so nothing can run twice; who may do what,
    /// and encryption, do not depend on the version; and a worker that serves with less is worth more than one that
    /// does not serve.
    pub fallback: Option<Dialect>,
    /// How long a broker may take to answer READY in MDP 0.3.
    pub fallback_after: Duration,
    /// Endpoints that a broker which leaves may send us to, as it writes them.
    pub alternatives: Vec<String>,
    /// How often we show that we live, and expect the broker to.
    pub heartbeat: Duration,
    /// How many silent intervals make the broker dead (RFC 7: 3 to 5).
    pub liveness: u32,
    /// How long a broker of an old dialect may be silent while we work. The reference brokers send nothing to a busy
    /// worker; a broker that really dies is noticed by its connection.
    pub busy_grace: Duration,
    /// The first delay before a new connection; it doubles up to `reconnect_max`.
    pub reconnect_first: Duration,
    /// The longest delay before a new connection.
    pub reconnect_max: Duration,
    /// How long we stay away from a broker that drained us by name, or forbade what we offer: somebody wanted it so,
    /// and has this long to stop us or to change it.
    pub absence: Duration,
    /// How long running jobs may go on after the wish to end.
    pub shutdown_grace: Duration,
    /// How many jobs run at once, over all services. MDP 0.1 and 0.2 have no word for it, so their brokers use one.
    pub credit: usize,
    /// Where the jitter of the delays starts; the same seed waits the same.
    pub seed: u64,
}

/// A setting that cannot work. The text names the setting, its value and what is allowed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Misuse {
    /// The service's name cannot be offered.
    #[error("service name of {bytes} bytes (allowed: 1 to {max})", max = protocol::limits::SERVICE_NAME_BYTES_MAX)]
    ServiceName {
        /// How long it is.
        bytes: usize,
    },
    /// Names under `mmi.` are the broker's own (RFC 8).
    #[error("service {0:?}: names that start with \"mmi.\" belong to the broker")]
    Management(ServiceName),
    /// Heartbeats without a pause.
    #[error("heartbeat 0 (allowed: more than 0)")]
    Heartbeat,
    /// A broker that is dead before it can speak.
    #[error("liveness 0 (allowed: 1 or more)")]
    Liveness,
    /// A worker that can take no job, or more than can be said.
    #[error("credit {0} (allowed: 1 to {CREDIT_MAX})")]
    Credit(usize),
    /// No service, or more than a worker may offer.
    #[error("{0} services (allowed: 1 to {SERVICES_PER_WORKER_MAX})")]
    Services(usize),
    /// A service that is offered twice.
    #[error("service {0:?} is offered twice")]
    Twice(ServiceName),
    /// A service that nobody handles.
    #[error("service {0:?} has no handler")]
    NoHandler(ServiceName),
    /// A key for an endpoint that is not spoken to over CURVE.
    #[error("endpoint {endpoint:?} has a key, and the worker does not use CURVE")]
    KeyWithoutCurve {
        /// As it was given.
        endpoint: String,
    },
    /// Name, version, description or schema are not what they may be; the text says which.
    #[error("metadata: {0}")]
    Metadata(String),
    /// The endpoint cannot be read; the text says why.
    #[error("endpoint {endpoint:?}: {reason}")]
    Endpoint {
        /// As it was given.
        endpoint: String,
        /// What is wrong with it.
        reason: String,
    },
}

impl Config {
    /// The defaults of RFC 7's implementations, in the dialect that can do most.
    pub fn new(service: ServiceName) -> Self {
        Self::of(vec![Offer { service, options: Options::none() }])
    }

    /// The same for these services.
    pub fn of(offers: Vec<Offer>) -> Self {
        Self {
            offers,
            about: Options::none(),
            speech: Speech::Native,
            fallback: Some(Dialect::V02),
            fallback_after: Duration::from_millis(2500),
            alternatives: Vec::new(),
            heartbeat: HEARTBEAT_INTERVAL,
            liveness: HEARTBEAT_LIVENESS,
            busy_grace: Duration::from_secs(600),
            reconnect_first: Duration::from_millis(250),
            reconnect_max: Duration::from_secs(5),
            absence: Duration::from_secs(30),
            shutdown_grace: Duration::from_secs(30),
            credit: 1,
            seed: 0,
        }
    }

    /// Refuses what cannot work.
    ///
    /// # Errors
    /// The first [`Misuse`] that is found.
    pub fn check(&self) -> Result<(), Misuse> {
        self.check_offers()?;
        if self.heartbeat.is_zero() {
            return Err(Misuse::Heartbeat);
        }
        if self.liveness == 0 {
            return Err(Misuse::Liveness);
        }
        if !(1..=CREDIT_MAX as usize).contains(&self.credit) {
            return Err(Misuse::Credit(self.credit));
        }
        Ok(())
    }

    fn check_offers(&self) -> Result<(), Misuse> {
        if self.offers.is_empty() || self.offers.len() > SERVICES_PER_WORKER_MAX {
            return Err(Misuse::Services(self.offers.len()));
        }
        let mut bytes = self.about.as_bytes().len();
        let mut earlier = self.offers.as_slice();
        while let Some((Offer { service, options }, others)) = earlier.split_last() {
            if service.is_management() {
                return Err(Misuse::Management(service.clone()));
            }
            if others.iter().any(|other| other.service == *service) {
                return Err(Misuse::Twice(service.clone()));
            }
            bytes += 1 + service.as_bytes().len() + options.as_bytes().len();
            earlier = others;
        }
        if bytes > READY_BYTES_MAX - READY_HEAD_BYTES {
            return Err(Misuse::Metadata(format!("{bytes} bytes in all (allowed: {READY_BYTES_MAX})")));
        }
        Ok(())
    }

    /// After so much silence a broker of an old dialect counts as dead.
    pub(crate) fn patience(&self) -> Duration {
        self.heartbeat.saturating_mul(self.liveness)
    }

    /// The one service that an old dialect has room for.
    pub(crate) fn first_service(&self) -> ServiceName {
        self.offers.first().map(|offer| offer.service.clone()).expect("a checked configuration has a service")
    }

    pub(crate) fn offers(&self, service: &ServiceName) -> bool {
        self.offers.iter().any(|offer| offer.service == *service)
    }
}

/// Octets of a READY that are neither name nor metadata, with room to spare.
const READY_HEAD_BYTES: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    fn echo() -> Config {
        Config::new("echo".parse().unwrap())
    }

    #[test]
    fn the_defaults_are_valid() {
        assert_eq!(echo().check(), Ok(()));
    }

    #[test]
    fn each_setting_that_cannot_work_is_refused_by_name() {
        let management = Config::new("mmi.service".parse().unwrap());
        assert!(matches!(management.check(), Err(Misuse::Management(_))));
        assert_eq!(Config { heartbeat: Duration::ZERO, ..echo() }.check(), Err(Misuse::Heartbeat));
        assert_eq!(Config { liveness: 0, ..echo() }.check(), Err(Misuse::Liveness));
        for credit in [0, 65_537] {
            assert_eq!(Config { credit, ..echo() }.check(), Err(Misuse::Credit(credit)));
        }
        let twice = [echo().offers, echo().offers].concat();
        assert!(matches!(Config { offers: twice, ..echo() }.check(), Err(Misuse::Twice(_))));
        assert_eq!(Config { offers: Vec::new(), ..echo() }.check(), Err(Misuse::Services(0)));
    }

    #[test]
    fn services_per_worker_max_and_the_bytes_of_ready_are_met_and_not_passed() {
        let offers = |count: usize, schema: usize| {
            let options = Options::build().schema(&"x".repeat(schema)).finish_offer().unwrap();
            let name = |number: usize| format!("service {number:02}").parse().unwrap();
            let offers = (0..count).map(|number| Offer { service: name(number), options: options.clone() }).collect();
            Config { offers, ..echo() }.check()
        };
        assert_eq!((offers(64, 1), offers(65, 1)), (Ok(()), Err(Misuse::Services(65))));
        assert_eq!(offers(4, 16_000), Ok(()));
        assert!(matches!(offers(5, 16_000), Err(Misuse::Metadata(_))));
    }
}
