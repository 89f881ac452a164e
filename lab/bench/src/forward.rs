//! A bare ROUTER-ROUTER forwarder on our own engine: no services, no queue, no liveness, no counting.
//!
//! ```text
//!   client ─► ROUTER ── client's number in front ──► ROUTER ─► the next worker in turn
//!   client ◄─ ROUTER ◄── that number taken off ───── ROUTER ◄─ worker
//! ```
//!
//! What our broker needs more than this for a request is the price of what it does for it.

use std::future::poll_fn;
use std::io::Write;
use std::task::Poll;

use anyhow::Context;
use protocol::{Frames, PeerId};
use zmtp::{Event, Options, Router};

use crate::wire::forward::READY;

/// Serves until the process is ended; says where on standard output.
///
/// # Errors
/// No port is free.
pub fn serve() -> anyhow::Result<()> {
    // As our broker does.
    runtime::heap::keep_free_memory();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let any = || "tcp://127.0.0.1:0".parse().context("an endpoint");
        let (clients, workers) =
            (Router::bind(&[any()?], Options::default()).await?, Router::bind(&[any()?], Options::default()).await?);
        let [at_clients, at_workers] = [&clients, &workers].map(|router| router.endpoints().first().cloned());
        let (at_clients, at_workers) = (at_clients.context("an endpoint")?, at_workers.context("an endpoint")?);
        writeln!(std::io::stdout(), "ready {at_clients} {at_workers}")?;
        Forwarder { clients, workers, line: Vec::new(), turn: 0, early: Vec::new() }.run().await
    })
}

struct Forwarder {
    clients: Router,
    workers: Router,
    /// Everybody who has said READY.
    line: Vec<PeerId>,
    turn: usize,
    /// Requests that came before the first worker.
    early: Vec<Frames>,
}

impl Forwarder {
    async fn run(mut self) -> anyhow::Result<()> {
        let (mut asked, mut answered) = (Vec::new(), Vec::new());
        loop {
            poll_fn(|context| {
                // Both are polled: each has to know whom to wake.
                let heard =
                    [self.clients.poll_recv(context, &mut asked), self.workers.poll_recv(context, &mut answered)];
                if heard.iter().any(Poll::is_ready) { Poll::Ready(()) } else { Poll::Pending }
            })
            .await;
            for event in answered.drain(..) {
                self.on_worker(event);
            }
            for event in asked.drain(..) {
                if let Event::Message { peer, mut frames } = event {
                    frames.push_front(peer.0.to_be_bytes().to_vec());
                    self.give(frames);
                }
            }
        }
    }

    fn on_worker(&mut self, event: Event) {
        match event {
            Event::Message { peer, frames } if frames.len() == 1 && frames.iter().all(|frame| frame == READY) => {
                self.line.push(peer);
                // A worker that is gone already needs to know nothing.
                let _ = self.workers.try_send(peer, frames);
                for early in std::mem::take(&mut self.early) {
                    self.give(early);
                }
            }
            Event::Message { mut frames, .. } => {
                let number = frames.pop_front().and_then(|number| number.as_ref().try_into().ok());
                if let Some(number) = number.map(u64::from_be_bytes) {
                    // A client that is gone gets nothing; nor does one that does not read.
                    let _ = self.clients.try_send(PeerId(number), frames);
                }
            }
            Event::Disconnected { peer } => self.line.retain(|worker| *worker != peer),
            _ => {}
        }
    }

    /// To the next worker in turn.
    fn give(&mut self, frames: Frames) {
        self.turn = if self.turn + 1 < self.line.len() { self.turn + 1 } else { 0 };
        match self.line.get(self.turn) {
            // The load notices what is lost: it is counted there.
            Some(worker) => drop(self.workers.try_send(*worker, frames)),
            None => self.early.push(frames),
        }
    }
}
