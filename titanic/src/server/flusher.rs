//! Who flushes: a thread of its own, so that nothing else waits for the disk; or whoever asks, where the disk is so
//! fast that waking another thread takes as long.

use std::io;
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use crate::desk::Input;
use crate::log::Job;

/// How what was written becomes safe.
pub type Flush = Arc<dyn Fn() -> io::Result<()> + Send + Sync>;

/// Both ways to do it.
pub(super) struct Flusher {
    flush: Flush,
    jobs: mpsc::Sender<Job>,
    done: UnboundedReceiver<Done>,
    /// How long the last one took.
    last: Duration,
}

struct Done {
    input: Input,
    took: Duration,
}

impl Flusher {
    /// Starts the thread. It ends with the flusher, and at the first flush that fails.
    pub(super) fn start(flush: Flush) -> io::Result<Self> {
        let (jobs, received) = mpsc::channel::<Job>();
        let (sender, done) = unbounded_channel();
        let of_thread = Arc::clone(&flush);
        std::thread::Builder::new().name("flusher".to_owned()).spawn(move || work(&of_thread, received, &sender))?;
        Ok(Self { flush, jobs, done, last: Duration::MAX })
    }

    /// Whether the disk is so fast that it can be waited for.
    pub(super) fn is_fast(&self) -> bool {
        self.last <= FAST
    }

    /// Has the thread do it.
    pub(super) fn hand_over(&self, job: Job) -> Result<(), Input> {
        self.jobs.send(job).map_err(|_| Input::FlushFailed(io::ErrorKind::BrokenPipe))
    }

    /// Does it here and now.
    pub(super) fn flush(&mut self, job: Job) -> Input {
        let Done { input, took } = flushed(&self.flush, job);
        self.last = took;
        input
    }

    /// Waits for what the thread has done. Cancel safe.
    pub(super) async fn done(&mut self) -> Input {
        match self.done.recv().await {
            Some(Done { input, took }) => {
                self.last = took;
                input
            }
            // The thread has ended with a failure, which it has told.
            None => std::future::pending().await,
        }
    }
}

fn work(flush: &Flush, jobs: mpsc::Receiver<Job>, done: &UnboundedSender<Done>) {
    for job in jobs {
        let outcome = flushed(flush, job);
        let has_failed = matches!(outcome.input, Input::FlushFailed(_));
        if done.send(outcome).is_err() || has_failed {
            return;
        }
    }
}

fn flushed(flush: &Flush, job: Job) -> Done {
    let begun = Instant::now();
    let input = match flush() {
        Ok(()) => Input::Flushed(job),
        Err(error) => Input::FlushFailed(error.kind()),
    };
    Done { input, took: begun.elapsed() }
}

/// Twice what a good disk takes; waking a thread and being woken by it takes a tenth of that.
const FAST: Duration = Duration::from_micros(300);
