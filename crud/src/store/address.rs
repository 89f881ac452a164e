//! `--store`: which store, as text.

use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;

use super::{Fault, Store, mongo::Mongo, sqlite::Sqlite};
use crate::refusal::{Refusal, without_secrets};

/// Where documents live.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Address {
    /// `mongodb://…`, a connection string of the driver.
    Mongo(String),
    /// `sqlite:FILE`.
    SqliteFile(PathBuf),
    /// `sqlite::memory:`, gone with the process.
    SqliteMemory,
}

impl FromStr for Address {
    type Err = Refusal;

    fn from_str(text: &str) -> Result<Self, Refusal> {
        match text.split_once(':') {
            Some(("sqlite", ":memory:")) => Ok(Self::SqliteMemory),
            Some(("sqlite", file)) if !file.is_empty() => Ok(Self::SqliteFile(file.into())),
            Some(("mongodb", rest)) if rest.len() > "//".len() && rest.starts_with("//") => {
                Ok(Self::Mongo(text.into()))
            }
            _ => Err(Refusal::new(format!(
                "\"{}\" is not a store; allowed are mongodb://HOST[:PORT][/?OPTIONS], sqlite:FILE and \
                 sqlite::memory:",
                without_secrets(text)
            ))),
        }
    }
}

impl Address {
    /// Opens the store. A MongoDB server is only connected to when a request needs it, and may come later.
    ///
    /// # Errors
    /// A connection string that the driver does not take, or a file that cannot be opened or is something else.
    pub async fn open(&self) -> Result<Arc<dyn Store>, Fault> {
        Ok(match self {
            Self::Mongo(uri) => Arc::new(Mongo::connect(uri).await?),
            Self::SqliteFile(file) => Arc::new(Sqlite::open(Some(file)).await?),
            Self::SqliteMemory => Arc::new(Sqlite::open(None).await?),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_three_stores_are_read() {
        assert_eq!("sqlite::memory:".parse(), Ok(Address::SqliteMemory));
        assert_eq!("sqlite:/tmp/a:b.db".parse(), Ok(Address::SqliteFile("/tmp/a:b.db".into())));
        let uri = "mongodb://127.0.0.1:27017/?replicaSet=rs0";
        assert_eq!(uri.parse(), Ok(Address::Mongo(uri.into())));
    }

    #[test]
    fn anything_else_is_refused_with_what_is_allowed() {
        for wrong in ["", "sqlite", "sqlite:", "mongodb:", "mongodb://", "mongodb+srv://a", "redis://a", "/tmp/a.db"] {
            let reason = wrong.parse::<Address>().unwrap_err().to_string();
            assert!(reason.contains("allowed are mongodb://HOST"), "{wrong}: {reason}");
        }
    }
}
