//! What a worker session is told once, and what of it makes no sense.

use std::time::Duration;

use protocol::ServiceName;
use protocol::limits::{HEARTBEAT_INTERVAL, HEARTBEAT_LIVENESS};
use protocol::mdp::Dialect;

/// The settings of one [`Session`](crate::Session). [`Config::new`] has the defaults; [`Config::check`] says what is
/// wrong.
#[derive(Clone, Debug)]
pub struct Config {
    /// The service that is offered.
    pub service: ServiceName,
    /// How the broker is spoken to. Brokers other than ours mostly know 0.1 only.
    pub dialect: Dialect,
    /// How often we show that we live, and expect the broker to.
    pub heartbeat: Duration,
    /// How many silent intervals make the broker dead (RFC 7: 3 to 5).
    pub liveness: u32,
    /// How long the broker may be silent while every slot is taken. The reference brokers send nothing to a busy
    /// worker; a broker that really dies is noticed by its connection.
    pub busy_grace: Duration,
    /// The first delay before a new connection; it doubles up to `reconnect_max`.
    pub reconnect_first: Duration,
    /// The longest delay before a new connection.
    pub reconnect_max: Duration,
    /// How long running jobs may go on after the wish to end.
    pub shutdown_grace: Duration,
    /// How many jobs run at once. MDP 0.1 and 0.2 have no word for it, so their brokers use one.
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
    /// A worker that can take no job.
    #[error("credit 0 (allowed: 1 or more)")]
    Credit,
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
        Self {
            service,
            dialect: Dialect::V02,
            heartbeat: HEARTBEAT_INTERVAL,
            liveness: HEARTBEAT_LIVENESS,
            busy_grace: Duration::from_secs(600),
            reconnect_first: Duration::from_millis(250),
            reconnect_max: Duration::from_secs(5),
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
        if self.service.is_management() {
            return Err(Misuse::Management(self.service.clone()));
        }
        if self.heartbeat.is_zero() {
            return Err(Misuse::Heartbeat);
        }
        if self.liveness == 0 {
            return Err(Misuse::Liveness);
        }
        if self.credit == 0 {
            return Err(Misuse::Credit);
        }
        Ok(())
    }

    /// After so much silence the broker counts as dead.
    pub(crate) fn patience(&self) -> Duration {
        self.heartbeat.saturating_mul(self.liveness)
    }
}

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
        assert_eq!(Config { credit: 0, ..echo() }.check(), Err(Misuse::Credit));
    }
}
