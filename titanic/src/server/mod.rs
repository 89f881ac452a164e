//! Titanic at a broker: the [`Desk`] on two connections, over sockets or within the broker's own process, and a thread
//! that flushes.
//!
//! There is no decision here; all of them are the desk's.

mod flusher;
mod port;
mod status;
#[cfg(test)]
mod tests;
mod trace;

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use runtime::link::Link;
use runtime::local::Entrance;
use runtime::way::Way;
use runtime::zmtp::{Backoff, Endpoint, Options};
use runtime::{Clock, Shutdown, Vigil, drive_awake};
use tokio::sync::watch;

pub use flusher::Flush;
pub use status::Status;

use crate::desk::{Chance, Desk};
use crate::log::{
    self, Geometry, Id, Log, LogId, MappedFile, Memory, OpenError, Progress, Recovery, Region, Settings, Stopped,
};
use crate::store::Config;
use flusher::Flusher;
use port::DeskPort;

/// Where a Titanic works.
#[derive(Clone, Debug)]
pub struct Place {
    /// The broker's endpoint.
    pub broker: String,
    /// How it is spoken to.
    pub options: Options,
}

/// Why a Titanic has ended that was not told to.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The disk failed. Everybody who waited was told 500; what was acknowledged before is safe.
    #[error(transparent)]
    Stopped(#[from] Stopped),
    /// The log cannot be opened.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The broker's endpoint cannot be read.
    #[error("endpoint {endpoint:?}: {reason}")]
    Endpoint {
        /// As it was given.
        endpoint: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The operating system gave no thread, or nothing random.
    #[error("{0}")]
    System(String),
}

/// A Titanic whose log is open.
#[must_use = "a Titanic works when `serve` is awaited"]
pub struct Server<R> {
    log: Log<R>,
    /// None where nothing outlives the process: what is written is as safe as it will ever be.
    flush: Option<Flush>,
    config: Config,
    status: watch::Sender<Status>,
}

impl Server<MappedFile> {
    /// A Titanic on the log at `path`, which is made if it is not there. `progress` hears how far the making or the
    /// reading of it is.
    ///
    /// # Errors
    /// When it cannot be opened; nothing in it was changed then.
    pub fn open(
        path: &Path,
        settings: &Settings,
        config: Config,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<(Self, Recovery), Error> {
        let (log, recovery) = log::open(path, LogId(random()?), settings, progress)?;
        let flusher = log.region().flusher();
        Ok((Self::over(log, Arc::new(move || flusher.flush()), config), recovery))
    }
}

impl Server<Memory> {
    /// A Titanic that forgets everything when it ends.
    ///
    /// # Errors
    /// When there is no memory for it.
    pub fn in_memory(settings: &Settings, config: Config) -> Result<Self, Error> {
        let geometry =
            settings.geometry.unwrap_or_else(|| Geometry::for_capacity(settings.capacity_bytes).on_small_pages());
        let settings = Settings { geometry: Some(geometry), ..*settings };
        let log = Log::create(Memory::new(), LogId(random()?), &settings, &mut |_| {})?;
        Ok(Self { flush: None, ..Self::over(log, Arc::new(|| Ok(())), config) })
    }
}

impl<R: Region + Send + 'static> Server<R> {
    /// A Titanic on a log that was opened. `flush` makes safe what was written into the log's region before it is
    /// called; it is called once at a time, from one thread or another.
    pub fn over(log: Log<R>, flush: Flush, config: Config) -> Self {
        Self { log, flush: Some(flush), config, status: watch::Sender::default() }
    }

    /// A view of how it fares, while it serves and after.
    pub fn status(&self) -> watch::Receiver<Status> {
        self.status.subscribe()
    }

    /// Serves at a broker until the end is wished. What is acknowledged by then is safe, and whoever waits for an
    /// answer is told to ask again.
    ///
    /// # Errors
    /// [`Error::Stopped`] when the disk fails; others at once, for settings that cannot work.
    pub async fn serve(self, place: Place, shutdown: Shutdown) -> Result<(), Error> {
        let Place { broker, options } = place;
        let misuse = |reason: String| Error::Endpoint { endpoint: broker.clone(), reason };
        let endpoint: Endpoint = broker.parse().map_err(|error| misuse(format!("{error}")))?;
        let reconnect = Backoff { first: RECONNECT_FIRST, max: RECONNECT_MAX };
        let options = Options { reconnect, ..options };
        let way = || Way::socket(Link::new(endpoint.clone(), options.clone()));
        self.run([way(), way()], shutdown).await
    }

    /// The same within the broker's process. It ends when that is wished, not with the broker: who ends the broker
    /// wishes it then.
    ///
    /// # Errors
    /// [`Error::Stopped`] when the disk fails.
    pub async fn serve_inside(self, entrance: Entrance, shutdown: Shutdown) -> Result<(), Error> {
        self.run([Way::inside(entrance.clone()), Way::inside(entrance)], shutdown).await
    }

    async fn run(self, [worker, client]: [Way; 2], shutdown: Shutdown) -> Result<(), Error> {
        let flusher = self.flush.map(Flusher::start).transpose().map_err(|error| Error::System(error.to_string()))?;
        let clock = Clock::start();
        // Ids of those who choose none: the system's random numbers do not end.
        let fresh = Box::new(|| fresh_id().expect("the system has given random numbers before"));
        let mut desk = Desk::new(self.log, self.config, origin_ms(clock), chance()?, fresh);
        let mut port = DeskPort::new(worker, client, flusher, shutdown, self.status);
        drive_awake(&mut desk, &mut port, clock, Vigil::new(AWAKE)).await;
        port.finish().await?;
        desk.into_log().close()?;
        Ok(())
    }
}

impl<R> std::fmt::Debug for Server<R> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Server").field("config", &self.config).finish_non_exhaustive()
    }
}

/// What nobody else draws. The first octet of the identity is not zero: names that begin so are a ROUTER's own.
fn chance() -> Result<Chance, Error> {
    let [mut identity, others] = [random()?, random()?];
    if let Some(first) = identity.first_mut() {
        *first |= 1;
    }
    let (seed, salt) = others.split_at(8);
    let number = |octets: &[u8]| octets.iter().fold(0, |number, octet| number << 8 | u64::from(*octet));
    Ok(Chance { seed: number(seed), salt: number(salt), identity: Bytes::copy_from_slice(&identity) })
}

/// Milliseconds from 1970 to the origin of this clock.
fn origin_ms(clock: Clock) -> u64 {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let origin = now.saturating_sub(clock.now() - protocol::Instant::ZERO);
    u64::try_from(origin.as_millis()).unwrap_or(u64::MAX)
}

fn random() -> Result<[u8; 16], Error> {
    let mut octets = [0; 16];
    getrandom::fill(&mut octets).map_err(|error| Error::System(error.to_string()))?;
    Ok(octets)
}

/// An id that nobody can guess, as a UUID of version 4.
fn fresh_id() -> Result<Id, Error> {
    let [a, b, c, d, e, f, version, h, variant, rest @ ..] = random()?;
    let [j, k, l, m, n, o, p] = rest;
    let (version, variant) = (version & 0x0f | 0x40, variant & 0x3f | 0x80);
    Ok(Id([a, b, c, d, e, f, version, h, variant, j, k, l, m, n, o, p]))
}

/// The delays before a lost connection is replaced.
const RECONNECT_FIRST: Duration = Duration::from_millis(100);
const RECONNECT_MAX: Duration = Duration::from_secs(1);
/// Longer than a client on the same machine needs, with a broker between, to hear an answer and ask again.
const AWAKE: Duration = Duration::from_micros(300);
