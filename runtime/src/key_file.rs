//! CURVE keys on disk: two short text files, made by `majordomo keygen` and readable by any program.
//!
//! ```text
//!   NAME.key   # lines of comment            NAME.pub   # lines of comment
//!              the secret key, Z85                      the public key, Z85
//! ```
//!
//! Both are made readable by their owner only; of the secret one that is insisted on when it is read. No Z85 text of a
//! key begins with `#`: five characters that did would stand for more than 32 bits (RFC 32).

use std::fs::{DirBuilder, OpenOptions};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::str::FromStr;

use zeroize::Zeroizing;
use zmtp::curve::{KeyPair, SecretKey};
use zmtp::{KEY_BYTES, KeyError, PublicKey};

use crate::secret_file::{self, Error};

/// The two files of a pair.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Files {
    /// For us alone.
    pub secret: PathBuf,
    /// For everybody.
    pub public: PathBuf,
}

/// A new key pair, from the operating system's random source.
///
/// # Errors
/// When it has none.
pub fn generate() -> std::io::Result<KeyPair> {
    let mut secret = Zeroizing::new([0; KEY_BYTES]);
    getrandom::fill(&mut *secret).map_err(std::io::Error::other)?;
    Ok(KeyPair::new(SecretKey::from(*secret)))
}

/// Reads the secret key of a file, and with it the pair.
///
/// # Errors
/// A file that others can read, or that holds no key; the text names file, line and what is allowed.
pub fn read(path: &Path) -> Result<KeyPair, Error> {
    Ok(KeyPair::new(key(path, &secret_file::read(path)?)?))
}

/// Reads a public key.
///
/// # Errors
/// As [`read`], but anybody may read the file.
pub fn read_public(path: &Path) -> Result<PublicKey, Error> {
    key(path, &secret_file::read_checked(path, false)?)
}

/// Writes `NAME.key` and `NAME.pub` into `folder`, which is made (0700) if it is not there. Files that are there stay,
/// unless they are to be replaced.
///
/// # Errors
/// [`Error::Io`] names the file.
pub fn write(folder: &Path, name: &str, pair: &KeyPair, replace: bool) -> Result<Files, Error> {
    let made = DirBuilder::new().recursive(true).mode(0o700).create(folder);
    made.map_err(|error| Error::Io { path: folder.to_owned(), error })?;
    let files = Files { secret: folder.join(format!("{name}.key")), public: folder.join(format!("{name}.pub")) };
    for path in [&files.secret, &files.public] {
        if !replace && path.exists() {
            return Err(Error::Io { path: path.clone(), error: ErrorKind::AlreadyExists.into() });
        }
    }
    let secret =
        Zeroizing::new(format!("# CURVE secret key of {name}: show it to nobody\n{}\n", &*pair.secret.to_z85()));
    write_one(&files.secret, secret.as_bytes(), replace)?;
    let public = format!("# CURVE public key of {name}\n{}\n", pair.public);
    write_one(&files.public, public.as_bytes(), replace)?;
    Ok(files)
}

/// The mode is the file's from its first moment. One that is replaced is replaced as a whole: it takes its place under
/// another name, so that nobody reads half a key.
fn write_one(path: &Path, content: &[u8], replace: bool) -> Result<(), Error> {
    let io = |error| Error::Io { path: path.to_owned(), error };
    let mut target = path.as_os_str().to_owned();
    if replace {
        target.push(".new");
    }
    let target = PathBuf::from(target);
    if replace && target.exists() {
        std::fs::remove_file(&target).map_err(io)?;
    }
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&target).map_err(io)?;
    file.write_all(content).and_then(|()| file.sync_all()).map_err(io)?;
    if replace { std::fs::rename(&target, path).map_err(io) } else { Ok(()) }
}

/// The one line of a file that is neither empty nor a comment.
fn key<K: FromStr<Err = KeyError>>(path: &Path, text: &str) -> Result<K, Error> {
    let refuse = |line, reason| Err(Error::Line { path: path.to_owned(), line, reason });
    let mut lines = text.lines().zip(1..).filter(|(line, _)| !line.trim().is_empty() && !line.starts_with('#'));
    let Some((line, number)) = lines.next() else {
        return refuse(text.lines().count().max(1), "no key (allowed: one line of 40 characters of Z85)".to_owned());
    };
    if let Some((_, number)) = lines.next() {
        return refuse(number, "a second key (allowed: one)".to_owned());
    }
    line.trim().parse().or_else(|error: KeyError| refuse(number, error.to_string()))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn mode(path: &Path) -> u32 {
        std::fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn a_pair_is_read_as_it_was_written_and_its_owner_alone_can() {
        let folder = tempfile::tempdir().unwrap();
        let (keys, pair) = (folder.path().join("new").join("keys"), generate().unwrap());
        let files = write(&keys, "alice", &pair, false).unwrap();
        let read_back = read(&files.secret).unwrap();
        assert_eq!((read_back.public, &read_back.secret), (pair.public, &pair.secret));
        assert_eq!(read_public(&files.public).unwrap(), pair.public);
        assert_eq!((mode(&keys), mode(&files.secret), mode(&files.public)), (0o700, 0o600, 0o600));
    }

    #[test]
    fn no_two_pairs_are_the_same() {
        assert_ne!(generate().unwrap().public, generate().unwrap().public);
    }

    #[test]
    fn a_key_that_is_there_stays_unless_it_is_to_be_replaced() {
        let (folder, pair, other) = (tempfile::tempdir().unwrap(), generate().unwrap(), generate().unwrap());
        let files = write(folder.path(), "a", &pair, false).unwrap();
        let text = write(folder.path(), "a", &other, false).unwrap_err().to_string();
        assert!(text.contains("a.key"), "{text}");
        assert_eq!(read(&files.secret).unwrap().public, pair.public);
        std::fs::remove_file(&files.secret).unwrap();
        assert!(write(folder.path(), "a", &other, false).is_err(), "a public key alone stays, too");
        write(folder.path(), "a", &other, true).unwrap();
        assert_eq!(read(&files.secret).unwrap().public, other.public);
        assert_eq!((read_public(&files.public).unwrap(), mode(&files.secret)), (other.public, 0o600));
    }

    #[test]
    fn a_file_without_one_good_key_is_told_the_line() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("bad.pub");
        let good = generate().unwrap().public.to_string();
        for (content, end) in [
            (String::new(), "line 1: no key (allowed: one line of 40 characters of Z85)".to_owned()),
            ("# only\n# words\n".to_owned(), "line 2: no key (allowed: one line of 40 characters of Z85)".to_owned()),
            (format!("# a\n\n{}\n", &good[..39]), "line 3: a key has 40 characters of Z85, not 39".to_owned()),
            (format!("{}\"\n", &good[..39]), "line 1: not Z85 at character 39".to_owned()),
            (format!("{good}\n{good}\n"), "line 2: a second key (allowed: one)".to_owned()),
        ] {
            std::fs::write(&path, &content).unwrap();
            let text = read_public(&path).unwrap_err().to_string();
            assert!(text.ends_with(&end) && text.contains("bad.pub"), "{text}");
        }
    }

    #[test]
    fn no_key_looks_like_a_comment() {
        // The largest group of four octets begins with the third last digit; `$` and `#` are behind it.
        assert_eq!(PublicKey::from([0xff; KEY_BYTES]).to_string().chars().next(), Some('%'));
    }
}
