//! The table of jobs: those that run, those that wait for a slot, and those whose connection is lost.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use protocol::Instant;
use protocol::mdp::v03::JobNumber;

use crate::job::{Assignment, Job, JobId};

/// All jobs of a session.
#[derive(Debug, Default)]
pub(super) struct Jobs {
    all: BTreeMap<JobId, Job>,
    count: u64,
    /// Those that wait for a slot, in the order in which they came. Ids of jobs that have ended are skipped.
    line: VecDeque<JobId>,
    waiting: usize,
    /// Those of the present connection.
    held: usize,
    by_number: BTreeMap<JobNumber, JobId>,
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
        self.all.len() - self.waiting
    }

    /// How many wait for a slot.
    pub(super) fn waiting(&self) -> usize {
        self.waiting
    }

    /// How many the present connection gave us.
    pub(super) fn held(&self) -> usize {
        self.held
    }

    /// How many an earlier connection gave us.
    pub(super) fn orphans(&self) -> usize {
        self.all.len() - self.held
    }

    /// Takes a job in, at the end of the line.
    pub(super) fn add(&mut self, job: Job) -> JobId {
        let id = JobId(self.count);
        self.count += 1;
        if let Some(number) = job.number() {
            self.by_number.insert(number, id);
        }
        if let Some(deadline) = job.deadline {
            self.deadlines.insert((deadline, id));
        }
        self.all.insert(id, job);
        self.line.push_back(id);
        self.waiting += 1;
        self.held += 1;
        id
    }

    /// The next job that waits is begun.
    pub(super) fn begin(&mut self) -> Option<(JobId, Assignment)> {
        while let Some(id) = self.line.pop_front() {
            if let Some(assignment) = self.all.get_mut(&id).and_then(|job| job.waiting.take()) {
                self.waiting -= 1;
                return Some((id, assignment));
            }
        }
        None
    }

    pub(super) fn get_mut(&mut self, id: JobId) -> Option<&mut Job> {
        self.all.get_mut(&id)
    }

    /// The job that the present connection knows by this number.
    pub(super) fn find(&self, number: JobNumber) -> Option<JobId> {
        self.by_number.get(&number).copied()
    }

    pub(super) fn remove(&mut self, id: JobId) -> Option<Job> {
        let job = self.all.remove(&id)?;
        if let Some(number) = job.number() {
            self.by_number.remove(&number);
        }
        if let Some(deadline) = job.deadline {
            self.deadlines.remove(&(deadline, id));
        }
        self.waiting -= usize::from(job.waiting.is_some());
        // A job whose connection is lost counts no more, whatever it still has.
        self.held = self.held.saturating_sub(usize::from(!job.is_orphan()));
        Some(job)
    }

    /// Forgets all that has not been begun: its broker gives it to somebody else.
    pub(super) fn forget_waiting(&mut self) {
        for id in std::mem::take(&mut self.line) {
            if self.all.get(&id).is_some_and(|job| job.waiting.is_some()) {
                self.remove(id);
            }
        }
    }

    /// The connection is lost; returns the jobs that have become orphans by it.
    pub(super) fn orphan(&mut self) -> Vec<JobId> {
        self.by_number.clear();
        self.deadlines.clear();
        self.held = 0;
        let orphans = self.all.iter_mut().filter(|(_, job)| !job.is_orphan());
        orphans.map(|(id, job)| (job.orphan(), *id).1).collect()
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
}
