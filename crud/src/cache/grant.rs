//! Which cache may answer in a database's place: a small record that the database itself keeps.
//!
//! ```text
//!            claim                     retire                      after a lease
//!  Vacant ----------> Held { by, tag } ----------> Ending ---------------------> Vacant
//!    ^                  | ^ beat (revision + 1)      | claim, after a lease         |
//!    |                  +-+                          +--------> Held                |
//!    +----------------------------------------------------------------------------+
//! ```
//!
//! Every change replaces the record whose revision it names, so that of two changes at once one fails.

use bson::{Document, doc};

/// Who may cache, and which version of that decision this is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Grant {
    /// Counts the changes; 0 before the first.
    pub revision: i64,
    /// Who may cache.
    pub tenure: Tenure,
}

/// Who may cache.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Tenure {
    /// Nobody: every read goes to the store.
    #[default]
    Vacant,
    /// The cache of this instance.
    Held {
        /// The running cache server or process, by a name that no other ever has.
        by: String,
        /// In front of every key, so that what an earlier tenure left behind is never found.
        tag: String,
    },
    /// Nobody any more, but those who have not heard of it may still answer from the cache for a lease.
    Ending,
}

impl Grant {
    /// The next record, with another tenure or the same.
    pub fn next(&self, tenure: Tenure) -> Self {
        Self { revision: self.revision + 1, tenure }
    }

    /// The record as stores keep it.
    pub fn to_document(&self) -> Document {
        match &self.tenure {
            Tenure::Vacant => doc! { "revision": self.revision, "tenure": "vacant" },
            Tenure::Held { by, tag } => doc! { "revision": self.revision, "tenure": "held", "by": by, "tag": tag },
            Tenure::Ending => doc! { "revision": self.revision, "tenure": "ending" },
        }
    }

    /// Reads what [`Self::to_document`] wrote.
    ///
    /// # Errors
    /// A record that it did not write: what is wrong with it.
    pub fn from_document(document: &Document) -> Result<Self, String> {
        let text = |name| document.get_str(name).map(str::to_owned).ok();
        let tenure = match document.get_str("tenure") {
            Ok("vacant") => Some(Tenure::Vacant),
            Ok("held") => text("by").zip(text("tag")).map(|(by, tag)| Tenure::Held { by, tag }),
            Ok("ending") => Some(Tenure::Ending),
            _ => None,
        };
        let grant = document.get_i64("revision").ok().zip(tenure).map(|(revision, tenure)| Self { revision, tenure });
        grant.ok_or_else(|| format!("the store's record of its cache is damaged: {document}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_grant_is_read_back_as_it_was_written() {
        let held = Tenure::Held { by: "redis:1".into(), tag: "t".into() };
        for tenure in [Tenure::Vacant, held, Tenure::Ending] {
            let grant = Grant { revision: 7, tenure };
            assert_eq!(Grant::from_document(&grant.to_document()), Ok(grant));
        }
    }

    #[test]
    fn a_damaged_record_is_not_taken_for_vacant() {
        assert!(Grant::from_document(&doc! {}).is_err());
        assert!(Grant::from_document(&doc! { "revision": 1_i64, "tenure": "lost" }).is_err());
        assert!(Grant::from_document(&doc! { "revision": 1_i64, "tenure": "held", "by": "x" }).is_err());
    }
}
