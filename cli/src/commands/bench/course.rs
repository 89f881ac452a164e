//! How far a run of load has got: when it ends, what it has done, and the bar that shows it.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};
use tokio::task::JoinSet;

use super::tally::Tally;
use crate::commands::per_second;

/// How far the run has got, shared by all callers.
pub(in crate::commands) struct Course {
    started: Instant,
    ends: Option<Instant>,
    /// How far it goes: requests, or milliseconds.
    length: u64,
    /// Requests that may still be begun.
    left: AtomicU64,
    done: AtomicU64,
}

impl Course {
    /// A run of so many requests, or else for so long.
    pub(in crate::commands) fn new(requests: Option<u64>, duration: Duration) -> Self {
        let started = Instant::now();
        Self {
            started,
            ends: requests.is_none().then(|| started + duration),
            length: requests.unwrap_or(u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)),
            left: AtomicU64::new(requests.unwrap_or(u64::MAX)),
            done: AtomicU64::new(0),
        }
    }

    /// Whether there is another request to make.
    pub(in crate::commands) fn takes_another(&self) -> bool {
        self.ends.is_none_or(|ends| Instant::now() < ends)
            && self.left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1)).is_ok()
    }

    /// A request has ended, well or not.
    pub(in crate::commands) fn one_is_done(&self) {
        self.done.fetch_add(1, Ordering::Relaxed);
    }

    /// Lets what is under way end, and begins nothing more.
    pub(in crate::commands) fn stop(&self) {
        self.left.store(0, Ordering::Relaxed);
    }

    /// Since the beginning.
    pub(in crate::commands) fn elapsed(&self) -> Duration {
        self.started.elapsed()
    }

    fn show(&self, progress: &ProgressBar) {
        let done = self.done.load(Ordering::Relaxed);
        let elapsed = self.elapsed();
        let millis = || u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX);
        progress.set_position(if self.ends.is_some() { millis() } else { done });
        progress.set_message(format!("{done} requests, {:.0}/s", per_second(done, elapsed)));
    }
}

/// A bar on standard error; nothing where that is no terminal.
pub(in crate::commands) fn bar(course: &Course) -> ProgressBar {
    let style = ProgressStyle::with_template("{bar:40} {percent:>3} %  {msg}  {eta} left");
    ProgressBar::new(course.length).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}

/// Sums up what the callers have seen, once all of them have ended; shows how far they are meanwhile.
pub(in crate::commands) async fn gather(
    callers: &mut JoinSet<Tally>,
    course: &Course,
    progress: &ProgressBar,
) -> Tally {
    let mut all = Tally::default();
    let mut beat = tokio::time::interval(Duration::from_millis(100));
    loop {
        tokio::select! {
            ended = callers.join_next() => match ended {
                Some(Ok(tally)) => all.add(&tally),
                // A caller neither panics nor is aborted.
                Some(Err(_)) => {}
                None => return all,
            },
            _ = beat.tick() => course.show(progress),
        }
    }
}
