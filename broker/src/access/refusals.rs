//! Strangers that were turned away: counted, and logged at a bounded rate. A password is never part of it.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use runtime::zmtp::{Applicant, Credentials};
use tracing::warn;

use super::file::fingerprint;
use crate::lines::Lines;

/// Many connections ask at a time, so the log's share is behind a lock; only refusals take it.
#[derive(Debug)]
pub(super) struct Refusals {
    count: AtomicU64,
    lines: Mutex<Lines>,
}

impl Refusals {
    pub(super) fn count(&self) -> u64 {
        self.count.load(Ordering::Relaxed)
    }

    pub(super) fn note(&self, applicant: &Applicant<'_>) {
        self.count.fetch_add(1, Ordering::Relaxed);
        let mut lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        let (suppressed, may_write) = (lines.take_suppressed(), lines.may_write());
        drop(lines);
        if let Some(count) = suppressed {
            warn!("{count} more peers were refused");
        }
        if may_write {
            let address = applicant.address.map_or_else(|| "a local socket".to_owned(), |address| address.to_string());
            warn!("refused {} from {address}", describe(&applicant.credentials));
        }
    }
}

impl Default for Refusals {
    fn default() -> Self {
        Self { count: AtomicU64::new(0), lines: Mutex::new(Lines::new(LINES_PER_SECOND_MAX)) }
    }
}

/// Who it was, as far as it may be shown: what names it, never what proves it.
fn describe(credentials: &Credentials<'_>) -> String {
    match credentials {
        Credentials::Null => "a peer without credentials".to_owned(),
        Credentials::Plain { username, .. } => format!("user {}", username.escape_ascii()),
        Credentials::Curve(key) => format!("key {}…", fingerprint(key)),
    }
}

const LINES_PER_SECOND_MAX: u32 = 10;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_shown_names_the_peer_and_never_its_secret() {
        let user = Credentials::Plain { username: b"al\nice", password: b"hush" };
        assert_eq!(describe(&user), "user al\\nice");
        let key = "Yne@$w-vo<fVvi]a<NY6T1ed:M$fCG*[IaLV{hID".parse().unwrap();
        assert_eq!(describe(&Credentials::Curve(key)), "key Yne@$w-vo<…");
    }
}
