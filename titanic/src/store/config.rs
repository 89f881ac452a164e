//! What a store is told once.

use std::time::Duration;

/// When a request is safe enough to be acknowledged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sync {
    /// When a flush has covered it. Everybody who came meanwhile shares the next flush.
    Always,
    /// When the operating system has it; a flush follows within this time.
    Within(Duration),
}

/// The settings of one [`Store`](super::Store).
#[derive(Clone, Debug)]
pub struct Config {
    /// When a 200 leaves.
    pub sync: Sync,
    /// How often a request is tried before it is given up. What nobody was there for does not count.
    pub attempts_max: u32,
    /// How long one attempt may take, the wait in the broker's queue included.
    pub call_timeout: Duration,
    /// Calls under way to one service.
    pub calls_per_service_max: usize,
    /// Calls under way to all services.
    pub calls_max: usize,
    /// Calls of those that stand at closed doors: one for each service that nobody serves.
    pub knocks_max: usize,
    /// Services with open requests.
    pub services_max: usize,
    /// The delay after a first failure; it doubles up to `backoff_max`.
    pub backoff_first: Duration,
    /// The longest delay after a failure.
    pub backoff_max: Duration,
    /// A request that has not been answered after so long is given up; `None` never is.
    pub request_ttl: Option<Duration>,
    /// An answer that nobody has closed after so long is forgotten; `None` never is.
    pub answer_ttl: Option<Duration>,
    /// How long the id of a request that its client numbered is remembered after its end, counted from its beginning.
    pub memory: Duration,
    /// Ids that are remembered; beyond it the oldest are forgotten first.
    pub remembered_max: usize,
    /// Who may wait for answers at once; beyond it nobody waits, and is told 300 at once.
    pub waiters_max: usize,
    /// The longest wait for an answer.
    pub wait_max: Duration,
    /// Octets of what is told before it has left; answers beyond it stay in the log until then. One may pass it.
    pub told_bytes_max: usize,
    /// Octets of what services are asked in calls under way; one may pass it.
    pub call_bytes_max: usize,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            sync: Sync::Always,
            attempts_max: 20,
            call_timeout: Duration::from_secs(30),
            calls_per_service_max: 64,
            calls_max: 1024,
            knocks_max: 256,
            services_max: 10_000,
            backoff_first: Duration::from_millis(250),
            backoff_max: Duration::from_secs(60),
            request_ttl: None,
            answer_ttl: None,
            memory: Duration::from_secs(24 * 60 * 60),
            remembered_max: 100_000,
            waiters_max: 4096,
            wait_max: Duration::from_secs(60 * 60),
            told_bytes_max: 16 << 20,
            call_bytes_max: 64 << 20,
        }
    }
}

impl Config {
    /// The delay after so many failures in a row.
    pub(super) fn backoff(&self, failures: u32) -> Duration {
        let factor = 2_u32.saturating_pow(failures.saturating_sub(1).min(31));
        self.backoff_first.saturating_mul(factor).min(self.backoff_max)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_delay_doubles_up_to_its_limit_and_stays_there() {
        let config = Config::default();
        let delays = [1, 2, 3, 8, 9, u32::MAX].map(|failures| config.backoff(failures).as_millis());
        assert_eq!(delays, [250, 500, 1000, 32_000, 60_000, 60_000]);
    }
}
