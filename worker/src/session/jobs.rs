//! The table of jobs: those that run, those that wait for a slot, and those whose connection is lost.

use std::collections::{BTreeSet, VecDeque};

use protocol::Instant;
use protocol::mdp::v03::JobNumber;
use protocol::numbered::Numbered;

use crate::job::{Assignment, Job, JobId};

/// All jobs of a session.
#[derive(Debug, Default)]
pub(super) struct Jobs {
    all: Numbered<Job>,
    count: u64,
    /// Those that wait for a slot, in the order in which they came, and what is to be done.
    line: VecDeque<(JobId, Assignment)>,
    /// Those of the present connection.
    held: usize,
    by_number: Numbered<JobId>,
    deadlines: BTreeSet<(Instant, JobId)>,
}

impl Jobs {
    pub(super) fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    pub(super) fn len(&self) -> usize {
        self.all.len()
    }

    /// How many have a handler.
    pub(super) fn running(&self) -> usize {
        self.all.len() - self.line.len()
    }

    /// How many wait for a slot.
    pub(super) fn waiting(&self) -> usize {
        self.line.len()
    }

    /// How many the present connection gave us.
    pub(super) fn held(&self) -> usize {
        self.held
    }

    /// How many an earlier connection gave us.
    pub(super) fn orphans(&self) -> usize {
        self.all.len() - self.held
    }

    /// Takes a job in: it runs, unless it is put in [line](Self::wait).
    pub(super) fn add(&mut self, job: Job) -> JobId {
        let id = JobId(self.count);
        self.count += 1;
        if let Some(JobNumber(number)) = job.number() {
            self.by_number.insert(number, id);
        }
        if let Some(deadline) = job.deadline {
            self.deadlines.insert((deadline, id));
        }
        self.all.insert(id.0, job);
        self.held += 1;
        id
    }

    /// The job that was added last goes to the end of the line.
    pub(super) fn wait(&mut self, id: JobId, assignment: Assignment) {
        self.line.push_back((id, assignment));
    }

    /// The next job that waits is begun.
    pub(super) fn begin(&mut self) -> Option<(JobId, Assignment)> {
        self.line.pop_front()
    }

    pub(super) fn get_mut(&mut self, id: JobId) -> Option<&mut Job> {
        self.all.get_mut(id.0)
    }

    /// The job that the present connection knows by this number.
    pub(super) fn find(&self, number: JobNumber) -> Option<JobId> {
        self.by_number.get(number.0).copied()
    }

    /// Whether a job is still in line.
    pub(super) fn is_waiting(&self, id: JobId) -> bool {
        self.place(id).is_some()
    }

    pub(super) fn remove(&mut self, id: JobId) -> Option<Job> {
        let job = self.all.take(id.0)?;
        if let Some(JobNumber(number)) = job.number() {
            self.by_number.take(number);
        }
        if let Some(deadline) = job.deadline {
            self.deadlines.remove(&(deadline, id));
        }
        if let Some(place) = self.place(id) {
            self.line.remove(place);
        }
        // A job whose connection is lost counts no more, whatever it still has.
        self.held = self.held.saturating_sub(usize::from(!job.is_orphan()));
        Some(job)
    }

    /// Forgets all that has not been begun: its broker gives it to somebody else.
    pub(super) fn forget_waiting(&mut self) {
        for (id, _) in std::mem::take(&mut self.line) {
            self.remove(id);
        }
    }

    /// The connection is lost; returns the jobs that have become orphans by it.
    pub(super) fn orphan(&mut self) -> Vec<JobId> {
        self.by_number.reset();
        self.deadlines.clear();
        self.held = 0;
        let orphans = self.all.iter_mut().filter(|(_, job)| !job.is_orphan());
        orphans.map(|(id, job)| (job.orphan(), JobId(id)).1).collect()
    }

    /// When the next job is over by its deadline.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.deadlines.first().map(|(deadline, _)| *deadline)
    }

    /// The next job whose deadline has passed; each is told once.
    pub(super) fn pop_due(&mut self, now: Instant) -> Option<JobId> {
        let (deadline, id) = *self.deadlines.first().filter(|(deadline, _)| *deadline <= now)?;
        self.deadlines.remove(&(deadline, id));
        Some(id)
    }

    fn place(&self, id: JobId) -> Option<usize> {
        self.line.binary_search_by_key(&id, |(id, _)| *id).ok()
    }
}
