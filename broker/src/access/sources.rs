//! The files that say who may come in, and the eye that is kept on them.
//!
//! They are looked at once a second, by time of change, size and inode: that works on every file system, and needs no
//! library. SIGHUP has them read at once.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use runtime::secret_file;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tracing::{error, info, warn};

use super::error::{Error, Reason};
use super::file::{FILE_BYTES_MAX, NAME_BYTES_MAX, parse};
use super::peers::{Peers, everything};
use super::table::AllowTable;

/// Where the peers are written down.
#[derive(Clone, Debug, Default)]
pub struct Sources {
    /// The allow file.
    pub allow: Option<PathBuf>,
    /// Users beside it, and the files of their passwords. They may do everything.
    pub plain: Vec<(String, PathBuf)>,
}

/// Sources, and how their files were when they were last read.
#[derive(Clone, Debug)]
pub(super) struct Watched {
    sources: Sources,
    stamps: BTreeMap<PathBuf, Stamp>,
}

/// What changes when a file does; `None` when it is not there.
type Stamp = Option<(SystemTime, u64, u64)>;

impl Watched {
    pub(super) fn new(sources: Sources) -> Self {
        Self { sources, stamps: BTreeMap::new() }
    }

    /// Reads all files. Each is looked at before it is read, so that no change is missed.
    pub(super) fn load(&mut self) -> Result<Peers, Error> {
        let Self { sources, stamps } = self;
        stamps.clear();
        let mut read_password = |path: &Path| {
            stamps.insert(path.to_owned(), stamp(path));
            secret_file::read_password(path)
        };
        let mut users = Vec::new();
        for (name, path) in &sources.plain {
            let password = read_password(path);
            let at = |reason| Error { path: path.clone(), line: None, reason };
            let password = password.map_err(|error| at(Reason::Password(error)))?;
            if name.is_empty() || name.len() > NAME_BYTES_MAX || name.contains(char::is_control) {
                return Err(at(Reason::Name { field: "user", bytes: name.len() }));
            }
            users.push((name, password, path));
        }
        let mut peers = match &sources.allow {
            None => Peers::default(),
            Some(path) => {
                let before = stamp(path);
                let peers = read_text(path).and_then(|text| {
                    let folder = path.parent().unwrap_or(Path::new(""));
                    parse(path, &text, &mut |file| read_password(&folder.join(file)))
                });
                stamps.insert(path.clone(), before);
                peers?
            }
        };
        for (name, password, path) in users {
            if !peers.add_user(name, password, everything(name)) {
                let reason = Reason::DuplicateUser(name.clone());
                return Err(Error { path: path.clone(), line: None, reason });
            }
        }
        Ok(peers)
    }

    fn has_changed(&self) -> bool {
        self.stamps.iter().any(|(path, before)| stamp(path) != *before)
    }

    /// What there is to read, if anything: when it was asked for, or a file has changed.
    fn look(&mut self, asked: bool) -> Option<Result<Peers, Error>> {
        (asked || self.has_changed()).then(|| self.load())
    }

    /// Keeps `table` as its files say, for ever. What cannot be used leaves the table as it is.
    pub(super) async fn follow(mut self, table: AllowTable, mut hangup: Option<Signal>) {
        loop {
            let asked = tokio::select! {
                () = hung_up(&mut hangup) => true,
                () = tokio::time::sleep(PAUSE) => false,
            };
            // Files are read where waiting for a disk holds nobody up.
            let Ok((watched, found)) = tokio::task::spawn_blocking(move || {
                let found = self.look(asked);
                (self, found)
            })
            .await
            else {
                return error!("who may come in stays as it is: the files are watched no longer");
            };
            self = watched;
            match found {
                None => {}
                Some(Ok(peers)) => {
                    info!("read anew who may come in: {} peers", peers.len());
                    table.replace(peers);
                }
                Some(Err(error)) => error!("who may come in stays as it was: {error}"),
            }
        }
    }
}

/// SIGHUP from now on, if the system lets us.
pub(super) fn hangup() -> Option<Signal> {
    signal(SignalKind::hangup()).map_err(|error| warn!("SIGHUP is not followed: {error}")).ok()
}

async fn hung_up(hangup: &mut Option<Signal>) {
    let heard = match hangup {
        Some(signal) => signal.recv().await,
        None => None,
    };
    // Without a signal, or with none to come: never.
    if heard.is_none() {
        std::future::pending().await
    }
}

fn read_text(path: &Path) -> Result<String, Error> {
    let at = |reason| Error { path: path.to_owned(), line: None, reason };
    let io = |error| at(Reason::Unreadable(error));
    let file = File::open(path).map_err(io)?;
    let mut text = String::new();
    // One byte more than is allowed tells that there is more.
    file.take(FILE_BYTES_MAX as u64 + 1).read_to_string(&mut text).map_err(io)?;
    if text.len() > FILE_BYTES_MAX { Err(at(Reason::FileLength)) } else { Ok(text) }
}

fn stamp(path: &Path) -> Stamp {
    let metadata = std::fs::metadata(path).ok()?;
    Some((metadata.modified().ok()?, metadata.len(), metadata.ino()))
}

const PAUSE: Duration = Duration::from_secs(1);
