//! Why an allow file cannot be used: one line that names the file, the line in it, and what is allowed.

use std::path::PathBuf;

use protocol::rights::PatternFault;
use runtime::secret_file;
use runtime::zmtp::KeyError;

use super::file::{FILE_BYTES_MAX, NAME_BYTES_MAX, PATTERNS_MAX, PEERS_MAX};

/// A file that says who may come in, and that cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("{}: {}{reason}", path.display(), line.map(|line| format!("line {line}: ")).unwrap_or_default())]
pub struct Error {
    /// The file.
    pub path: PathBuf,
    /// Counted from 1; `None` when it is about the file as a whole.
    pub line: Option<usize>,
    /// What is wrong, and what is allowed.
    pub reason: Reason,
}

/// What is wrong with a file that says who may come in.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Reason {
    /// It cannot be read.
    #[error("{0}")]
    Unreadable(std::io::Error),
    /// It is too long.
    #[error("more than {FILE_BYTES_MAX} bytes")]
    FileLength,
    /// It is no TOML, or a table has a key that is unknown, or of another type.
    #[error("{0}")]
    Toml(String),
    /// The public key is none.
    #[error("key: {0}")]
    Key(KeyError),
    /// The table says neither or both of what a peer can show.
    #[error("a peer is a key or a user (allowed: key = \"…\", or user = \"…\" with password-file = \"…\")")]
    KeyOrUser,
    /// A user without a password, or a key with one.
    #[error("a user has a password-file, and a key has none")]
    PasswordFile,
    /// The password cannot be used. Its file is named in the text.
    #[error("password-file: {0}")]
    Password(#[from] secret_file::Error),
    /// A name that cannot be shown, or that PLAIN cannot carry.
    #[error("{field} of {bytes} bytes (allowed: 1 to {NAME_BYTES_MAX}, no control characters)")]
    Name {
        /// `name` or `user`.
        field: &'static str,
        /// How long it is.
        bytes: usize,
    },
    /// The same key or user twice.
    #[error("the same {0} as in line {1}")]
    Duplicate(&'static str, usize),
    /// A user of the command line that is there already.
    #[error("user {0} is there already (allowed: once)")]
    DuplicateUser(String),
    /// Not a service, nor a pattern of services.
    #[error("{list}: {fault}")]
    Pattern {
        /// `call` or `offer`.
        list: &'static str,
        /// What is wrong.
        fault: PatternFault,
    },
    /// Too many services in one list.
    #[error("{0}: more than {PATTERNS_MAX} services (a * at the end of one stands for many)")]
    PatternCount(&'static str),
    /// Too many peers.
    #[error("more than {PEERS_MAX} peers")]
    PeerCount,
}
