//! Connects a [`Session`] to the world: its socket, its handlers' answers, the wish to end.

use std::ops::ControlFlow;

use protocol::Frames;
use runtime::link::{Heard, Link};
use runtime::{Port, Shutdown};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use crate::event::Event;
use crate::job::JobId;
use crate::run::Answers;
use crate::session::{Input, Output, Session};

/// The port. `Start` starts a handler's task for a job.
pub(crate) struct WorkerPort<Start> {
    pub(crate) link: Link,
    heard: Vec<Heard>,
    start: Start,
    /// Handlers that run; dropped with the port, which cuts them off.
    jobs: JoinSet<()>,
    /// Kept so that the channel never closes; each job has a clone.
    inputs: mpsc::Sender<Input>,
    answers: mpsc::Receiver<Input>,
    /// `None` once the wish was heard, or when nobody can wish.
    shutdown: Option<Shutdown>,
    observer: Observer,
}

/// Hears of each event.
pub(crate) type Observer = Box<dyn FnMut(&Event) + Send>;

/// Answers that wait while the socket is full; their handlers wait when there are more.
const ANSWERS_MAX: usize = 64;

impl<Start> WorkerPort<Start> {
    pub(crate) fn new(link: Link, start: Start, shutdown: Option<Shutdown>, observer: Observer) -> Self {
        let (inputs, answers) = mpsc::channel(ANSWERS_MAX);
        Self { link, heard: Vec::new(), start, jobs: JoinSet::new(), inputs, answers, shutdown, observer }
    }
}

impl<Start> Port<Session> for WorkerPort<Start>
where
    Start: FnMut(&mut JoinSet<()>, Frames, Answers) + Send,
{
    async fn recv(&mut self, inputs: &mut Vec<Input>) {
        let clogged = self.link.is_clogged();
        let wished = async {
            match &mut self.shutdown {
                Some(shutdown) => shutdown.wished().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = self.link.recv(&mut self.heard) => self.hear(inputs),
            Some(answer) = self.answers.recv(), if !clogged => inputs.push(answer),
            () = wished => {
                self.shutdown = None;
                inputs.push(Input::Shutdown);
            }
            // Only to let go of tasks that have ended: what they had to say came as an answer.
            Some(_) = self.jobs.join_next(), if !self.jobs.is_empty() => {}
        }
    }

    fn perform(&mut self, output: Output, _inputs: &mut Vec<Input>) -> ControlFlow<()> {
        match output {
            Output::Open => self.link.open(),
            Output::Close => self.link.close(),
            Output::Send(frames) => self.link.send(frames),
            Output::Handle { job, body } => self.start_job(job, body),
            Output::Event(event) => (self.observer)(&event),
            Output::Finished => return ControlFlow::Break(()),
        }
        ControlFlow::Continue(())
    }
}

impl<Start> WorkerPort<Start>
where
    Start: FnMut(&mut JoinSet<()>, Frames, Answers),
{
    /// A refusal changes nothing for the session, which waits for a connection; a person wants to read why.
    fn hear(&mut self, inputs: &mut Vec<Input>) {
        for heard in self.heard.drain(..) {
            match heard {
                Heard::Connected => inputs.push(Input::Connected),
                Heard::Message(frames) => inputs.push(Input::Message(frames)),
                Heard::Disconnected => inputs.push(Input::Disconnected),
                Heard::Refused { .. } => {
                    let reason = self.link.refusal().map_or("", |refusal| &refusal.reason);
                    tracing::warn!("refused by {}: {reason}", self.link.endpoint());
                }
            }
        }
    }

    fn start_job(&mut self, job: JobId, body: Frames) {
        (self.start)(&mut self.jobs, body, Answers { job, inputs: self.inputs.clone() });
    }
}
