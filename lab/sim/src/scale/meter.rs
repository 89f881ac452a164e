//! What is counted in a world, and the instruments that only a program can read.

/// What a pure simulation cannot know: the binary hands it in. A test may hand in nothing but zeros.
pub trait Instruments: std::fmt::Debug {
    /// A clock that does not go back, in nanoseconds. Never used as the world's time.
    fn nanoseconds(&mut self) -> u64;

    /// Bytes of this process in memory.
    fn resident_bytes(&mut self) -> u64;
}

/// Instruments that show nothing.
#[derive(Clone, Copy, Debug)]
pub struct Blind;

impl Instruments for Blind {
    fn nanoseconds(&mut self) -> u64 {
        0
    }

    fn resident_bytes(&mut self) -> u64 {
        0
    }
}

/// Messages that were sent, by what they are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Traffic {
    /// HEARTBEAT, in both directions.
    pub heartbeats: u64,
    /// Between a client and its broker.
    pub client: u64,
    /// Between a worker and its broker, without heartbeats.
    pub worker: u64,
    /// Between two brokers. There is no mesh yet: nothing is sent.
    pub mesh: u64,
}

/// Nanoseconds that went into the machines, by kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Spent {
    /// Into brokers.
    pub broker: u64,
    /// Into workers.
    pub worker: u64,
    /// Into clients.
    pub client: u64,
}

/// Everything that a world counts while it goes on; the present less the past is a window.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Messages.
    pub traffic: Traffic,
    /// Work.
    pub spent: Spent,
    /// Things that happened: arrivals, rounds of a broker, wake-ups, finished jobs, submitted requests.
    pub events: u64,
    /// Requests that were answered.
    pub answered: u64,
    /// Requests that ended without an answer.
    pub failed: u64,
}

impl Counts {
    /// What has come since `earlier`.
    #[must_use]
    pub fn since(&self, earlier: &Self) -> Self {
        self.with(earlier, |a, b| a - b)
    }

    /// Both together.
    #[must_use]
    pub fn plus(&self, other: &Self) -> Self {
        self.with(other, |a, b| a + b)
    }

    fn with(&self, other: &Self, join: fn(u64, u64) -> u64) -> Self {
        let (a, b) = (self, other);
        Self {
            traffic: Traffic {
                heartbeats: join(a.traffic.heartbeats, b.traffic.heartbeats),
                client: join(a.traffic.client, b.traffic.client),
                worker: join(a.traffic.worker, b.traffic.worker),
                mesh: join(a.traffic.mesh, b.traffic.mesh),
            },
            spent: Spent {
                broker: join(a.spent.broker, b.spent.broker),
                worker: join(a.spent.worker, b.spent.worker),
                client: join(a.spent.client, b.spent.client),
            },
            events: join(a.events, b.events),
            answered: join(a.answered, b.answered),
            failed: join(a.failed, b.failed),
        }
    }
}
