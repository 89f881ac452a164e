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

#[cfg(test)]
mod tests {
    use std::fs::Permissions;
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    struct Folder(tempfile::TempDir);

    impl Folder {
        fn new() -> Self {
            Self(tempfile::tempdir().unwrap())
        }

        fn write(&self, name: &str, text: &str, mode: u32) -> PathBuf {
            let path = self.0.path().join(name);
            std::fs::write(&path, text).unwrap();
            std::fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
            path
        }

        fn watched(&self, plain: &[&str]) -> Watched {
            let plain = plain.iter().map(|name| ((*name).to_owned(), self.0.path().join(format!("{name}.pass"))));
            Watched::new(Sources { allow: Some(self.0.path().join("allow.toml")), plain: plain.collect() })
        }
    }

    const ALICE: &str = "[[peer]]\nuser = \"alice\"\npassword-file = \"alice.pass\"\n";

    #[test]
    fn files_are_read_again_when_one_of_them_changes_and_not_before() {
        let folder = Folder::new();
        folder.write("allow.toml", ALICE, 0o644);
        folder.write("alice.pass", "hush", 0o600);
        folder.write("bob.pass", "hush", 0o600);
        let mut watched = folder.watched(&["bob"]);
        assert_eq!(watched.load().unwrap().len(), 2);
        assert!(watched.look(false).is_none());
        assert!(watched.look(true).is_some(), "asked for");
        for (name, text) in [("alice.pass", "hush hush"), ("bob.pass", "hush hush"), ("allow.toml", "# nobody")] {
            folder.write(name, text, 0o600);
            assert!(watched.look(false).unwrap().is_ok(), "{name}");
            assert!(watched.look(false).is_none(), "{name}: once");
        }
    }

    #[test]
    fn a_broken_file_is_told_once_and_read_again_when_it_is_mended() {
        let folder = Folder::new();
        let path = folder.write("allow.toml", "", 0o644);
        let mut watched = folder.watched(&[]);
        watched.load().unwrap();
        folder.write("allow.toml", "[[peer]]\nkey = \"short\"\n", 0o644);
        let error = watched.look(false).unwrap().unwrap_err();
        assert_eq!((error.path, error.line), (path.clone(), Some(2)));
        assert!(watched.look(false).is_none());
        folder.write("allow.toml", ALICE, 0o644);
        let error = watched.look(false).unwrap().unwrap_err().to_string();
        assert!(error.contains("allow.toml: line 3: password-file: ") && error.contains("alice.pass"), "{error}");
        folder.write("alice.pass", "hush", 0o600);
        assert_eq!(watched.look(false).unwrap().unwrap().len(), 1, "the file that was missing is there");
        std::fs::remove_file(path).unwrap();
        assert!(matches!(watched.look(false).unwrap().unwrap_err().reason, Reason::Unreadable(_)));
    }

    #[test]
    fn a_password_that_others_can_read_is_refused() {
        let folder = Folder::new();
        folder.write("allow.toml", ALICE, 0o644);
        folder.write("alice.pass", "hush", 0o644);
        let error = folder.watched(&[]).load().unwrap_err();
        assert_eq!(error.line, Some(3));
        assert!(error.to_string().contains("chmod 600"), "{error}");
    }

    #[test]
    fn a_user_of_the_command_line_may_do_everything_and_is_there_once() {
        let folder = Folder::new();
        folder.write("allow.toml", "", 0o644);
        folder.write("alice.pass", "hush", 0o600);
        assert_eq!(folder.watched(&["alice"]).load().unwrap().len(), 1);
        folder.write("allow.toml", ALICE, 0o644);
        let error = folder.watched(&["alice"]).load().unwrap_err();
        assert!(matches!(error.reason, Reason::DuplicateUser(_)), "{error}");
    }

    #[test]
    fn the_longest_file_is_read_no_further_than_its_limit() {
        let folder = Folder::new();
        folder.write("allow.toml", &format!("#{}", "x".repeat(FILE_BYTES_MAX)), 0o644);
        assert!(matches!(folder.watched(&[]).load().unwrap_err().reason, Reason::FileLength));
    }
}
