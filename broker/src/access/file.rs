//! The allow file: one TOML table a peer.
//!
//! ```toml
//! [[peer]]
//! key = "Yne@$w-vo<fVvi]a<NY6T1ed:M$fCG*[IaLV{hID"   # or user = "alice" with password-file = "alice.pass"
//! name = "alice"               # for logs; default: the user, or the beginning of the key
//! call = ["echo", "titanic.*"] # services; an absent list allows nothing
//! offer = []
//! mmi = true                   # default true
//! admin = false                # default false
//! requests-per-second = 100    # this and the next two: as for all, unless they are said
//! in-flight-max = 10
//! connections-max = 2
//! ```
//!
//! Reading takes text and gives a table: the one file that it opens is a password-file, by way of its caller.

use std::collections::HashMap;
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use protocol::rights::{PeerLimits, Rights, ServicePattern, ServicePatterns};
use runtime::secret_file;
use runtime::zmtp::{LOGIN_BYTES_MAX, PublicKey};
use serde::Deserialize;
use toml::Spanned;
use zeroize::Zeroizing;

use super::error::{Error, Reason};
use super::peers::Peers;

/// Bytes of an allow file (4 MiB).
pub const FILE_BYTES_MAX: usize = 4 << 20;
/// Peers of an allow file.
pub const PEERS_MAX: usize = 10_000;
/// Services and patterns of one list of one peer.
pub const PATTERNS_MAX: usize = 1000;
/// Bytes of the name of a peer or a user, as PLAIN can carry it (RFC 24).
pub const NAME_BYTES_MAX: usize = LOGIN_BYTES_MAX;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    #[serde(default)]
    peer: Vec<Spanned<Entry>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Entry {
    key: Option<Spanned<String>>,
    user: Option<Spanned<String>>,
    password_file: Option<Spanned<PathBuf>>,
    name: Option<Spanned<String>>,
    #[serde(default)]
    call: Vec<Spanned<String>>,
    #[serde(default)]
    offer: Vec<Spanned<String>>,
    #[serde(default = "yes")]
    mmi: bool,
    #[serde(default)]
    admin: bool,
    requests_per_second: Option<NonZeroU32>,
    in_flight_max: Option<NonZeroU32>,
    connections_max: Option<NonZeroU32>,
}

fn yes() -> bool {
    true
}

/// Where a password is read: the path as the file says it.
pub type PasswordReader<'a> = &'a mut dyn FnMut(&Path) -> Result<Zeroizing<Vec<u8>>, secret_file::Error>;

/// Reads the text of the allow file at `path`, which is named in errors only.
///
/// # Errors
/// The first thing that is wrong, with its line and what is allowed.
pub fn parse(path: &Path, text: &str, read_password: PasswordReader<'_>) -> Result<Peers, Error> {
    let mut reader = Reader { path, text, read_password, peers: Peers::default(), places: HashMap::new() };
    if text.len() > FILE_BYTES_MAX {
        return Err(Error { path: path.to_owned(), line: None, reason: Reason::FileLength });
    }
    let document: Document = toml::from_str(text).map_err(|error| {
        let reason = Reason::Toml(error.message().lines().collect::<Vec<_>>().join(" "));
        reader.error(error.span().map_or(0, |span| span.start), reason)
    })?;
    for entry in &document.peer {
        reader.entry(entry)?;
    }
    Ok(reader.peers)
}

struct Reader<'a> {
    path: &'a Path,
    text: &'a str,
    read_password: PasswordReader<'a>,
    peers: Peers,
    /// Where each key and user stands in the text, to name the first of two.
    places: HashMap<String, usize>,
}

impl Reader<'_> {
    fn entry(&mut self, entry: &Spanned<Entry>) -> Result<(), Error> {
        let start = entry.span().start;
        if self.peers.len() >= PEERS_MAX {
            return Err(self.error(start, Reason::PeerCount));
        }
        let entry = entry.get_ref();
        match (&entry.key, &entry.user, &entry.password_file) {
            (Some(key), None, None) => self.key(entry, key),
            (None, Some(user), Some(file)) => self.user(entry, user, file),
            (Some(_), None, Some(file)) => Err(self.error(file.span().start, Reason::PasswordFile)),
            (None, Some(user), None) => Err(self.error(user.span().start, Reason::PasswordFile)),
            _ => Err(self.error(start, Reason::KeyOrUser)),
        }
    }

    fn key(&mut self, entry: &Entry, text: &Spanned<String>) -> Result<(), Error> {
        let start = text.span().start;
        let key: PublicKey = text.get_ref().parse().map_err(|error| self.error(start, Reason::Key(error)))?;
        let rights = self.rights(entry, &fingerprint(&key))?;
        if !self.peers.add_key(key, rights) {
            return Err(self.duplicate("key", text));
        }
        self.note("key", text);
        Ok(())
    }

    fn user(&mut self, entry: &Entry, user: &Spanned<String>, file: &Spanned<PathBuf>) -> Result<(), Error> {
        self.check_name("user", user)?;
        let password = (self.read_password)(file.get_ref());
        let password = password.map_err(|error| self.error(file.span().start, error.into()))?;
        let rights = self.rights(entry, user.get_ref())?;
        if !self.peers.add_user(user.get_ref(), password, rights) {
            return Err(self.duplicate("user", user));
        }
        self.note("user", user);
        Ok(())
    }

    fn rights(&self, entry: &Entry, default_name: &str) -> Result<Rights, Error> {
        if let Some(name) = &entry.name {
            self.check_name("name", name)?;
        }
        let name = entry.name.as_ref().map_or(default_name, |name| name.get_ref());
        Ok(Rights {
            name: Arc::from(name),
            credential: None,
            call: self.patterns("call", &entry.call)?,
            offer: self.patterns("offer", &entry.offer)?,
            mmi: entry.mmi,
            admin: entry.admin,
            limits: PeerLimits {
                requests_per_second: entry.requests_per_second,
                in_flight_max: entry.in_flight_max,
                connections_max: entry.connections_max,
            },
        })
    }

    fn patterns(&self, list: &'static str, texts: &[Spanned<String>]) -> Result<ServicePatterns, Error> {
        if let Some(beyond) = texts.get(PATTERNS_MAX) {
            return Err(self.error(beyond.span().start, Reason::PatternCount(list)));
        }
        let pattern = |text: &Spanned<String>| {
            let pattern = text.get_ref().parse::<ServicePattern>();
            pattern.map_err(|fault| self.error(text.span().start, Reason::Pattern { list, fault }))
        };
        texts.iter().map(pattern).collect()
    }

    fn check_name(&self, field: &'static str, name: &Spanned<String>) -> Result<(), Error> {
        let bytes = name.get_ref().len();
        if bytes == 0 || bytes > NAME_BYTES_MAX || name.get_ref().contains(char::is_control) {
            return Err(self.error(name.span().start, Reason::Name { field, bytes }));
        }
        Ok(())
    }

    fn note(&mut self, what: &str, text: &Spanned<String>) {
        self.places.insert(format!("{what} {}", text.get_ref()), text.span().start);
    }

    fn duplicate(&self, what: &'static str, text: &Spanned<String>) -> Error {
        let first = self.places.get(&format!("{what} {}", text.get_ref())).copied().unwrap_or_default();
        self.error(text.span().start, Reason::Duplicate(what, self.line(first)))
    }

    fn error(&self, offset: usize, reason: Reason) -> Error {
        Error { path: self.path.to_owned(), line: Some(self.line(offset)), reason }
    }

    fn line(&self, offset: usize) -> usize {
        self.text.bytes().take(offset).filter(|byte| *byte == b'\n').count() + 1
    }
}

/// The beginning of a key: enough to find it by, and what a log shows of a key that has no name.
pub(super) fn fingerprint(key: &PublicKey) -> String {
    key.to_string().chars().take(FINGERPRINT_CHARACTERS).collect()
}

const FINGERPRINT_CHARACTERS: usize = 10;
