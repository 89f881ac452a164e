//! The flags of keys, passwords and rights. What they come to is [`crate::security`]'s to say.

use std::num::NonZeroU32;
use std::path::PathBuf;

use clap::Args;
use runtime::key_file;
use runtime::zmtp::{self, PublicKey};

/// Who we are, whom we trust, and whom we let in; the same flags on every command that binds or connects.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct Security {
    /// The public key of the server that we connect to: 40 characters of Z85, or file:FILE.pub
    #[arg(long, help_heading = SECURITY, value_name = "KEY", value_parser = public_key)]
    pub(crate) curve_server_key: Option<PublicKey>,
    /// Our own secret key, from keygen. A command that binds speaks CURVE with it, and with nobody who does not
    #[arg(long, help_heading = SECURITY, value_name = "FILE")]
    pub(crate) curve_secret: Option<PathBuf>,
    /// Who may connect, and may do what (TOML); for a command that binds. Read again on SIGHUP and when it changes
    #[arg(long, help_heading = SECURITY, value_name = "FILE")]
    pub(crate) allow: Option<PathBuf>,
    /// A user, and the file whose first line is the password: PLAIN, in clear text. A command that binds takes several
    #[arg(long, help_heading = SECURITY, value_name = "NAME:FILE", value_parser = user)]
    pub(crate) plain: Vec<User>,
    /// Where we belong, such as dev, test or prod: both sides share it, or have none
    #[arg(long, help_heading = SECURITY, value_name = "NAME", value_parser = domain)]
    pub(crate) domain: Option<String>,
    /// Allow a bind beyond loopback although nothing there is encrypted
    #[arg(long, help_heading = SECURITY)]
    pub(crate) insecure: bool,
}

/// A user of PLAIN, and where the password stands.
#[derive(Debug, Clone)]
pub(crate) struct User {
    pub(crate) name: String,
    pub(crate) password_file: PathBuf,
}

#[derive(Debug, Args)]
pub(crate) struct Keygen {
    /// Where to put the files; made if it is not there
    #[arg(long, value_name = "DIR", default_value = ".")]
    pub(crate) out: PathBuf,
    /// What to call them
    #[arg(long, default_value = "majordomo", value_parser = file_name)]
    pub(crate) name: String,
    /// Replace a pair that is there
    #[arg(long)]
    pub(crate) force: bool,
}

/// What one peer may do at most, where its entry in the allow file says nothing else. Connections with the same key
/// share one allowance; over NULL each stands for itself.
#[derive(Debug, Clone, Args)]
pub(crate) struct PerPeer {
    /// Requests a second of one peer; no limit without it
    #[arg(long, value_name = "COUNT")]
    pub(crate) peer_requests_per_second: Option<NonZeroU32>,
    /// Requests of one peer that have not ended; no limit without it
    #[arg(long, value_name = "COUNT")]
    pub(crate) peer_in_flight_max: Option<NonZeroU32>,
    /// Connections of one peer; no limit without it
    #[arg(long, value_name = "COUNT")]
    pub(crate) peer_connections_max: Option<NonZeroU32>,
}

pub(super) fn public_key(text: &str) -> Result<PublicKey, String> {
    match text.strip_prefix("file:") {
        Some(path) => key_file::read_public(path.as_ref()).map_err(|error| error.to_string()),
        None => text.parse().map_err(|error| format!("{error} (allowed: a public key, or file:FILE.pub)")),
    }
}

fn user(text: &str) -> Result<User, String> {
    let (name, file) = text.split_once(':').unwrap_or((text, ""));
    if name.is_empty() || name.len() > zmtp::LOGIN_BYTES_MAX || file.is_empty() {
        return Err(format!("not NAME:FILE, with a name of 1 to {} bytes", zmtp::LOGIN_BYTES_MAX));
    }
    Ok(User { name: name.to_owned(), password_file: file.into() })
}

fn domain(text: &str) -> Result<String, String> {
    match text.len() {
        1..=zmtp::DOMAIN_BYTES_MAX => Ok(text.to_owned()),
        bytes => Err(format!("{bytes} bytes (allowed: 1 to {})", zmtp::DOMAIN_BYTES_MAX)),
    }
}

fn file_name(text: &str) -> Result<String, String> {
    let fits = !text.is_empty() && text.len() <= FILE_NAME_BYTES_MAX && !text.starts_with('.');
    if fits && !text.contains(|character: char| character == '/' || character.is_control()) {
        return Ok(text.to_owned());
    }
    Err(format!("not a name for files (allowed: 1 to {FILE_NAME_BYTES_MAX} bytes without /, no . in front)"))
}

/// The heading of these flags in the help.
pub(super) const SECURITY: &str = "Security";
/// With its extension it fits every file system.
const FILE_NAME_BYTES_MAX: usize = 200;
