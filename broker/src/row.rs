//! Requests in the order in which they are served, out of which any can be taken by its number, and those whose time is
//! over.

use protocol::Instant;
use protocol::numbered::Numbered;

use crate::job::Job;

/// Requests by their numbers, which grow from front to back.
#[derive(Debug, Default)]
pub(crate) struct Row {
    jobs: Numbered<Job>,
    /// Whether a request may expire before one that stands in front of it: clients set deadlines as they like.
    mixed: bool,
}

impl Row {
    pub(crate) fn is_empty(&self) -> bool {
        self.jobs.is_empty()
    }

    /// Adds a request at the back; its number is greater than all others.
    pub(crate) fn push_back(&mut self, number: u64, job: Job) {
        let before = self.back().map(|last| last.expires);
        self.mixed = before.is_some_and(|before| self.mixed || before > job.expires);
        self.jobs.push_back(number, job);
    }

    /// Puts a request in front; its number is less than all others.
    pub(crate) fn push_front(&mut self, number: u64, job: Job) {
        self.mixed = true;
        self.jobs.push_front(number, job);
    }

    pub(crate) fn front(&self) -> Option<(u64, &Job)> {
        self.jobs.front()
    }

    pub(crate) fn back(&self) -> Option<&Job> {
        self.jobs.back().map(|(_, job)| job)
    }

    pub(crate) fn pop_front(&mut self) -> Option<Job> {
        self.jobs.pop_front()
    }

    pub(crate) fn pop_back(&mut self) -> Option<Job> {
        self.jobs.pop_back()
    }

    /// The request with this number, if it waits here still.
    pub(crate) fn get_mut(&mut self, number: u64) -> Option<&mut Job> {
        self.jobs.get_mut(number)
    }

    /// Takes the request with this number out.
    pub(crate) fn take(&mut self, number: u64) -> Option<Job> {
        self.jobs.take(number)
    }

    /// Takes what has expired by `now`. Where nothing is mixed it stands in front.
    pub(crate) fn expire(&mut self, now: Instant) -> Vec<Job> {
        if self.mixed {
            return self.jobs.extract(|job| job.expires <= now);
        }
        let mut late = Vec::new();
        while self.front().is_some_and(|(_, job)| job.expires <= now) {
            late.extend(self.pop_front());
        }
        late
    }

    /// When the oldest request came, wherever it stands.
    pub(crate) fn first_accepted(&self) -> Option<Instant> {
        self.jobs.iter().map(|job| job.accepted).min()
    }

    /// When the next request expires.
    pub(crate) fn first_expiry(&self) -> Option<Instant> {
        self.jobs.iter().take(if self.mixed { usize::MAX } else { 1 }).map(|job| job.expires).min()
    }

    /// Makes it as good as new, with the memory that it has, unless that is much.
    pub(crate) fn reset(&mut self) {
        self.jobs.reset();
        self.mixed = false;
    }

    /// How many places there are, stale ones included.
    #[cfg(test)]
    pub(crate) fn places(&self) -> usize {
        self.jobs.places()
    }
}
