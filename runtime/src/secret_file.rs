//! Files that hold a secret: a key, a password. One that others can read is refused, whatever it says.

use std::fs::File;
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

/// Why a file cannot be used. The text names the file and what is allowed, in one line.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// It is not there, or may not be read.
    #[error("{}: {error}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        error: std::io::Error,
    },
    /// Somebody else may read it, too.
    #[error(
        "{0}: mode {mode:04o} lets others than its owner at a secret (allowed: 0600 or 0400; chmod 600 {0})",
        path.display()
    )]
    Mode {
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// It is too long for what it should be.
    #[error("{}: more than {BYTES_MAX} bytes", path.display())]
    Length {
        /// The file.
        path: PathBuf,
    },
    /// A line says something else than it should.
    #[error("{}: line {line}: {reason}", path.display())]
    Line {
        /// The file.
        path: PathBuf,
        /// Counted from 1.
        line: usize,
        /// What is wrong, and what is allowed.
        reason: String,
    },
}

/// The longest file that is read, in bytes.
pub const BYTES_MAX: usize = 4096;

/// Reads a whole file that its owner alone may read. The text is zeroed when dropped.
///
/// # Errors
/// [`Error::Io`], [`Error::Mode`], [`Error::Length`], and [`Error::Line`] for what is not UTF-8.
pub fn read(path: &Path) -> Result<Zeroizing<String>, Error> {
    read_checked(path, true)
}

/// Reads a file of a few lines, secret or not.
pub(crate) fn read_checked(path: &Path, secret: bool) -> Result<Zeroizing<String>, Error> {
    let io = |error| Error::Io { path: path.to_owned(), error };
    let file = File::open(path).map_err(io)?;
    // Of the file that is open, not of whatever has that name by now.
    let mode = file.metadata().map_err(io)?.permissions().mode() & 0o7777;
    if secret && mode & 0o077 != 0 {
        return Err(Error::Mode { path: path.to_owned(), mode });
    }
    // Room for all of it at once: text that grew would leave copies behind.
    let mut octets = Zeroizing::new(Vec::with_capacity(BYTES_MAX + 1));
    file.take(BYTES_MAX as u64 + 1).read_to_end(&mut octets).map_err(io)?;
    if octets.len() > BYTES_MAX {
        return Err(Error::Length { path: path.to_owned() });
    }
    let text = std::str::from_utf8(&octets).map_err(|error| {
        let before = octets.get(..error.valid_up_to()).unwrap_or_default();
        let line = before.iter().filter(|octet| **octet == b'\n').count() + 1;
        Error::Line { path: path.to_owned(), line, reason: "not UTF-8".to_owned() }
    })?;
    Ok(Zeroizing::new(text.to_owned()))
}

/// The password in the first line of a file: up to 255 bytes, without the line end.
///
/// # Errors
/// As [`read`]; [`Error::Line`] for a password that is empty or too long.
pub fn read_password(path: &Path) -> Result<Zeroizing<Vec<u8>>, Error> {
    let text = read(path)?;
    let line = text.lines().next().unwrap_or_default();
    if line.is_empty() || line.len() > zmtp::LOGIN_BYTES_MAX {
        let reason = format!("a password of {} bytes (allowed: 1 to {})", line.len(), zmtp::LOGIN_BYTES_MAX);
        return Err(Error::Line { path: path.to_owned(), line: 1, reason });
    }
    Ok(Zeroizing::new(line.as_bytes().to_vec()))
}

#[cfg(test)]
mod tests {
    use std::fs::Permissions;

    use super::*;

    fn file(folder: &tempfile::TempDir, content: &[u8], mode: u32) -> PathBuf {
        let path = folder.path().join("secret");
        std::fs::write(&path, content).unwrap();
        std::fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
        path
    }

    #[test]
    fn a_file_that_group_or_others_may_touch_is_refused_with_the_way_out() {
        let folder = tempfile::tempdir().unwrap();
        for mode in [0o640, 0o604, 0o620, 0o610, 0o644, 0o777] {
            let path = file(&folder, b"hush\n", mode);
            let text = read(&path).unwrap_err().to_string();
            let wanted = format!("mode {mode:04o} lets others");
            assert!(text.contains(&wanted) && text.contains(&format!("chmod 600 {}", path.display())), "{text}");
        }
        for mode in [0o600, 0o400] {
            assert_eq!(&**read(&file(&folder, b"hush\n", mode)).unwrap(), "hush\n");
            std::fs::remove_file(folder.path().join("secret")).unwrap();
        }
    }

    #[test]
    fn the_longest_file_is_read_and_one_byte_more_is_not() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(read(&file(&folder, &[b'x'; BYTES_MAX], 0o600)).unwrap().len(), BYTES_MAX);
        assert!(matches!(read(&file(&folder, &[b'x'; BYTES_MAX + 1], 0o600)), Err(Error::Length { .. })));
    }

    #[test]
    fn the_line_that_is_no_text_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let text = read(&file(&folder, b"one\ntwo\xff\n", 0o600)).unwrap_err().to_string();
        assert!(text.ends_with("line 2: not UTF-8"), "{text}");
    }

    #[test]
    fn a_password_is_the_first_line_and_fits_plain() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(&**read_password(&file(&folder, b"hush hush\r\nnever mind\n", 0o600)).unwrap(), b"hush hush");
        assert!(read_password(&file(&folder, &[b'x'; 255], 0o600)).is_ok());
        for content in [&[b'x'; 256][..], b"", b"\nhush"] {
            let text = read_password(&file(&folder, content, 0o600)).unwrap_err().to_string();
            assert!(text.contains("line 1: a password of") && text.ends_with("(allowed: 1 to 255)"), "{text}");
        }
    }
}
