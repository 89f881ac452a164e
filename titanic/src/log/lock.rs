//! Who else has a log open.
//!
//! The lock is `flock`: it ends with its process, however that ends, and leaves no file behind. The system lists who
//! holds which lock in `/proc/locks`.

use std::fs::{self, File};
use std::os::unix::fs::MetadataExt;

use super::error::OpenError;

/// Takes the exclusive lock of a file.
///
/// # Errors
/// `Held` when another open file has it.
pub(super) fn lock(file: &File) -> Result<(), OpenError> {
    match file.try_lock() {
        Ok(()) => Ok(()),
        Err(fs::TryLockError::WouldBlock) => Err(OpenError::Held { holder: holder(file) }),
        Err(fs::TryLockError::Error(error)) => Err(OpenError::Io(error)),
    }
}

/// The process that holds a lock on this file, if the system tells.
pub(super) fn holder(file: &File) -> Option<u32> {
    let inode = file.metadata().ok()?.ino();
    holder_of(&fs::read_to_string("/proc/locks").ok()?, inode)
}

/// `1: FLOCK  ADVISORY  WRITE 4711 08:01:131090 0 EOF`: the process, then device and inode. The device is not compared:
/// some file systems show another one there.
fn holder_of(locks: &str, inode: u64) -> Option<u32> {
    let words = locks.lines().map(|line| line.split_whitespace().skip(1).collect::<Vec<_>>());
    words.into_iter().find_map(|words| match words[..] {
        ["FLOCK", _, "WRITE", pid, file, ..] => {
            let same = file.rsplit(':').next()? == inode.to_string();
            if same { pid.parse().ok().filter(|pid| *pid > 0) } else { None }
        }
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_holder_is_read_from_the_list_of_the_system() {
        let locks = "1: POSIX  ADVISORY  WRITE 12 08:01:77 0 EOF\n\
                     1: -> FLOCK  ADVISORY  WRITE 13 08:01:77 0 EOF\n\
                     2: FLOCK  ADVISORY  READ 14 08:01:77 0 EOF\n\
                     3: FLOCK  ADVISORY  WRITE 4711 08:01:77 0 EOF\n\
                     4: FLOCK  ADVISORY  WRITE 0 08:01:78 0 EOF\n";
        assert_eq!(holder_of(locks, 77), Some(4711));
        assert_eq!(holder_of(locks, 78), None);
        assert_eq!(holder_of(locks, 7), None);
    }
}
