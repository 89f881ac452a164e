//! What all tests of the session share: a session, its time, and what it says.

use bytes::Bytes;
use protocol::mdp::client::Part;

use super::*;
use crate::job::JobId;

mod leaving;
mod native;
mod old;

/// A session, and what it said since it was last asked.
struct World {
    session: Session,
    now: Instant,
}

impl World {
    fn new(change: impl FnOnce(&mut Config)) -> Self {
        let mut config = Config::new("echo".parse().unwrap());
        change(&mut config);
        config.check().unwrap();
        Self { session: Session::new(config), now: Instant::from_millis(1000) }
    }

    fn input(&mut self, input: Input) -> Vec<Output> {
        self.session.handle(self.now, input);
        self.outputs()
    }

    fn outputs(&mut self) -> Vec<Output> {
        std::iter::from_fn(|| self.session.poll()).collect()
    }

    /// Lets time pass as a driver does: a tick at each deadline.
    fn pass(&mut self, millis: u64) -> Vec<Output> {
        let end = self.now + Duration::from_millis(millis);
        let mut outputs = Vec::new();
        while let Some(deadline) = self.session.deadline().filter(|deadline| *deadline <= end) {
            self.now = deadline;
            self.session.tick(deadline);
            outputs.extend(self.outputs());
        }
        self.now = end;
        outputs
    }

    fn answer(&mut self, job: JobId) -> Vec<Output> {
        self.input(Input::Reply { job, part: Part::Final, body: Frames::from(["answer"]) })
    }
}

fn lost(outputs: &[Output]) -> Option<(Cause, usize)> {
    outputs.iter().find_map(|output| match output {
        Output::Event(Event::Lost { cause, orphans, .. }) => Some((*cause, *orphans)),
        _ => None,
    })
}

fn retry_in(outputs: &[Output]) -> Option<Duration> {
    outputs.iter().find_map(|output| match output {
        Output::Event(Event::Lost { retry_in, .. }) => *retry_in,
        _ => None,
    })
}

/// The first job whose handler is to run.
fn begun(outputs: &[Output]) -> Option<JobId> {
    outputs.iter().find_map(|output| match output {
        Output::Handle { job, .. } => Some(*job),
        _ => None,
    })
}
