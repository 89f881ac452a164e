//! Connects a [`Desk`] to the world: its two connections, its flushes, the wish to end.

use std::ops::ControlFlow;

use runtime::link::Heard;
use runtime::way::{CLOGGED_PAUSE, Way};
use runtime::{Port, Shutdown};
use tokio::sync::watch;

use super::flusher::Flusher;
use super::status::Status;
use super::trace::trace;
use crate::desk::{Desk, Input, Output, Side};
use crate::log::{Job, Lsn, Region, Stopped};

/// The port.
pub(super) struct DeskPort {
    worker: Way,
    client: Way,
    heard: [Vec<Heard>; 2],
    /// None where there is nothing to flush.
    flusher: Option<Flusher>,
    /// To be done before anything else is waited for; or done, where there is nothing to flush.
    due: Option<Job>,
    /// How far the log is covered by flushes, those under way included.
    covered: Lsn,
    shutdown: Shutdown,
    wishes: u32,
    /// Answers wait until those before them have left.
    is_holding: bool,
    status: watch::Sender<Status>,
    outcome: Result<(), Stopped>,
}

impl DeskPort {
    pub(super) fn new(
        worker: Way,
        client: Way,
        flusher: Option<Flusher>,
        shutdown: Shutdown,
        status: watch::Sender<Status>,
    ) -> Self {
        let (heard, due, wishes, is_holding, outcome) = (Default::default(), None, 0, false, Ok(()));
        let covered = Lsn::default();
        Self { worker, client, heard, flusher, due, covered, shutdown, wishes, is_holding, status, outcome }
    }

    /// Gives what is still to leave the time to do so, and says how the desk has ended.
    pub(super) async fn finish(self) -> Result<(), Stopped> {
        tokio::join!(self.worker.finish(), self.client.finish());
        self.outcome
    }

    fn way(&mut self, side: Side) -> &mut Way {
        match side {
            Side::Worker => &mut self.worker,
            Side::Client => &mut self.client,
        }
    }

    /// What either side has heard.
    fn hear(&mut self, inputs: &mut Vec<Input>) {
        for (side, heard) in [Side::Worker, Side::Client].into_iter().zip(&mut self.heard) {
            inputs.extend(heard.drain(..).map(|heard| match heard {
                Heard::Connected => Input::Connected(side),
                Heard::Message(frames) => Input::Message(side, frames),
                Heard::Disconnected => Input::Disconnected(side),
                Heard::Refused { is_lasting } => Input::Refused(side, is_lasting),
            }));
        }
        if matches!(inputs.last(), Some(Input::Refused(Side::Worker, _))) {
            tracing::warn!("{}", self.worker.refusal());
        }
    }

    /// Does the flush that is due. What has just been said leaves before.
    async fn flush(&mut self, inputs: &mut Vec<Input>) {
        tokio::task::yield_now().await;
        if let (Some(job), Some(flusher)) = (self.due.take(), &mut self.flusher) {
            inputs.push(flusher.flush(job));
        }
    }

    /// Flushes here or elsewhere, now or in a moment.
    fn on_flush(&mut self, job: Job, waiting: usize, inputs: &mut Vec<Input>) {
        let written = job.upto.0.saturating_sub(std::mem::replace(&mut self.covered, job.upto).0);
        // Who is alone has nothing else to do meanwhile.
        let is_quick = |flusher: &Flusher| (1..=FEW).contains(&waiting) && written <= LITTLE && flusher.is_fast();
        match self.flusher.as_ref().filter(|flusher| !is_quick(flusher)) {
            Some(flusher) => inputs.extend(flusher.hand_over(job).err()),
            None => self.due = Some(job),
        }
    }
}

impl<R: Region + Send> Port<Desk<R>> for DeskPort {
    async fn recv(&mut self, inputs: &mut Vec<Input>) {
        if self.due.is_some() && self.flusher.is_some() {
            return self.flush(inputs).await;
        }
        let is_flushed = self.due.is_some();
        let Self { worker, client, heard: [worker_heard, client_heard], flusher, shutdown, wishes, is_holding, .. } =
            self;
        let is_clogged = worker.is_clogged();
        let flushed = async {
            match flusher {
                Some(flusher) => flusher.done().await,
                None => std::future::pending().await,
            }
        };
        let relieved = async {
            if is_clogged {
                tokio::time::sleep(CLOGGED_PAUSE).await;
            }
        };
        let wished = async {
            match wishes {
                0 => shutdown.wished().await,
                1 => shutdown.insisted().await,
                _ => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            input = flushed => inputs.push(input),
            () = worker.recv(worker_heard) => self.hear(inputs),
            () = client.recv(client_heard) => self.hear(inputs),
            () = relieved, if *is_holding => {
                if !self.worker.is_clogged() {
                    inputs.push(Input::Relieved);
                }
            }
            () = wished => {
                inputs.push(if *wishes == 0 { Input::Shutdown } else { Input::Insist });
                self.wishes += 1;
            }
            () = std::future::ready(()), if is_flushed => {}
        }
        // Behind what was there to be heard: much may have to be written, and nobody else is to wait for all of it.
        inputs.extend(self.due.take().map(Input::Flushed));
    }

    fn perform(&mut self, output: Output, inputs: &mut Vec<Input>) -> ControlFlow<()> {
        match output {
            Output::Open(side, identity) => {
                let way = self.way(side);
                way.announce(identity);
                way.open();
            }
            Output::Close(side) => self.way(side).close(),
            Output::Send(side, frames) => self.way(side).send(frames),
            Output::Flush { job, waiting } => self.on_flush(job, waiting, inputs),
            Output::Event(event) => trace(&event),
            Output::Finished(outcome) => {
                self.outcome = outcome;
                return ControlFlow::Break(());
            }
        }
        ControlFlow::Continue(())
    }

    fn settled(&mut self, desk: &Desk<R>) {
        self.worker.flush();
        self.client.flush();
        self.is_holding = desk.is_holding();
        if self.status.receiver_count() > 0 {
            self.status.send_replace(Status::of(desk.store()));
        }
    }
}

/// An acknowledgement, and the place in its lane, of two requests.
const FEW: usize = 4;
/// Octets that a disk writes while somebody waits for them without harm to others.
const LITTLE: u64 = 256 << 10;
