//! A log in a file: read through a memory map, written by positioned writes, every block allocated and zeroed before it
//! is used.
//!
//! A new log is made under another name (`NAME.new`) and gets its own when it is complete, so that a crash leaves no
//! half of one.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use nix::fcntl::{FallocateFlags, PosixFadviseAdvice, fallocate, posix_fadvise};

use super::error::OpenError;
use super::layout::LogId;
use super::lock;
use super::mmap::Map;
use super::recover::Recovery;
use super::region::Region;
use super::writer::{Log, Progress, Settings};

/// Opens the log of this name, or makes one. `id` is for a new one: random, and told to nobody. `progress` hears of the
/// zeroing of a new file, or of the reading of an old one.
///
/// # Errors
/// When the file is no log that can be opened, is held by another process, or the disk has no room or fails. Nothing in
/// it was changed then.
pub fn open(
    path: &Path,
    id: LogId,
    settings: &Settings,
    progress: &mut dyn FnMut(Progress),
) -> Result<(Log<MappedFile>, Recovery), OpenError> {
    match OpenOptions::new().read(true).write(true).open(path) {
        Ok(file) => {
            lock::lock(&file)?;
            Log::open(MappedFile::new(file, settings)?, settings, progress)
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            create(path, id, settings, progress).map(|log| (log, Recovery::default()))
        }
        Err(error) => Err(error.into()),
    }
}

/// Opens a log only to look into it, also while another process has it. Also says which one.
///
/// # Errors
/// When the file is no log that can be opened, or the disk fails.
pub fn open_read_only(
    path: &Path,
    progress: &mut dyn FnMut(Progress),
) -> Result<(Log<ReadOnlyFile>, Recovery, Option<u32>), OpenError> {
    let file = File::open(path)?;
    let (holder, len) = (lock::holder(&file), file.metadata()?.len());
    let (log, report) = Log::view(ReadOnlyFile { file, len }, progress)?;
    Ok((log, report, holder))
}

fn create(
    path: &Path,
    id: LogId,
    settings: &Settings,
    progress: &mut dyn FnMut(Progress),
) -> Result<Log<MappedFile>, OpenError> {
    let unfinished = unfinished(path);
    let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&unfinished)?;
    lock::lock(&file)?;
    let made = create_in(file, path, &unfinished, id, settings, progress);
    if made.is_err() {
        // Best effort: what is left is only in the way, and is used again by the next try.
        std::fs::remove_file(&unfinished).ok();
    }
    made
}

fn create_in(
    file: File,
    path: &Path,
    unfinished: &Path,
    id: LogId,
    settings: &Settings,
    progress: &mut dyn FnMut(Progress),
) -> Result<Log<MappedFile>, OpenError> {
    // Whatever an earlier try left.
    file.set_len(0)?;
    let log = Log::create(MappedFile::new(file, settings)?, id, settings, progress)?;
    // Somebody else may have made one meanwhile: theirs stays.
    std::fs::hard_link(unfinished, path)?;
    std::fs::remove_file(unfinished)?;
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(folder)?.sync_all()?;
    Ok(log)
}

fn unfinished(path: &Path) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".new");
    path.with_file_name(name)
}

/// A file that is read through a map.
#[derive(Debug)]
pub struct MappedFile {
    shared: Arc<Shared>,
    map: Map,
    len: u64,
}

#[derive(Debug)]
struct Shared {
    file: File,
    /// Whether a flush has failed. The pages that it could not write count as clean now: another one would prove
    /// nothing. One at a time: the system tells a failure to one of two that overlap, and good news to the other.
    failed: Mutex<bool>,
}

impl Shared {
    fn flush(&self) -> io::Result<()> {
        let mut failed = self.failed.lock().unwrap_or_else(PoisonError::into_inner);
        if *failed {
            return Err(io::Error::other("an earlier flush has failed"));
        }
        self.file.sync_data().inspect_err(|_| *failed = true)
    }
}

/// Does the flushes, in a thread of its own if that is wanted.
#[derive(Clone, Debug)]
pub struct Flusher(Arc<Shared>);

impl Flusher {
    /// Returns when everything is safe that was written before. A [`Job`](super::Job) must have been handed out before
    /// this is called for it.
    ///
    /// # Errors
    /// The disk's; from then on always.
    pub fn flush(&self) -> io::Result<()> {
        self.0.flush()
    }
}

impl MappedFile {
    fn new(file: File, settings: &Settings) -> io::Result<Self> {
        let len = file.metadata()?.len();
        let map = Map::new(&file, settings.capacity_bytes.max(len))?;
        Ok(Self { shared: Arc::new(Shared { file, failed: Mutex::new(false) }), map, len })
    }

    /// For a thread that flushes while this one goes on.
    pub fn flusher(&self) -> Flusher {
        Flusher(Arc::clone(&self.shared))
    }

    /// Gives every octet up to `len` its place on the disk, and writes zeros where the file was shorter: the first
    /// write into a block that was only allocated costs several times as much as the next one.
    fn allocate(&mut self, len: u64, progress: &mut dyn FnMut(u64)) -> io::Result<()> {
        let file = &self.shared.file;
        let count = i64::try_from(len).map_err(|_| io::ErrorKind::StorageFull)?;
        match fallocate(file, FallocateFlags::empty(), 0, count) {
            // A file system that cannot allocate ahead allocates what is written, if it does not write elsewhere.
            Ok(()) | Err(nix::errno::Errno::EOPNOTSUPP) => {}
            Err(error) => return Err(error.into()),
        }
        let zeros = vec![0; ZEROS_BYTES];
        let mut at = self.len;
        while at < len {
            let count = (len - at).min(zeros.len() as u64);
            file.write_all_at(zeros.get(..usize::try_from(count).unwrap_or(0)).unwrap_or_default(), at)?;
            at += count;
            progress(at);
        }
        Ok(())
    }
}

impl Drop for MappedFile {
    fn drop(&mut self) {
        // Closing would do, but a child that is just being born shares the handle until it runs its own program. An
        // error leaves it at that.
        let _ = self.shared.file.unlock();
    }
}

impl Region for MappedFile {
    fn len(&self) -> u64 {
        self.len
    }

    fn read(&self, offset: u64, into: &mut [u8]) -> io::Result<()> {
        if into.len() >= LARGE_BYTES {
            // Whole chunks are read when a log is opened. There a block that the disk cannot read is a hole to be
            // reported; through the map it would be the end of the process.
            return self.shared.file.read_exact_at(into, offset);
        }
        self.map.read(self.len, offset, into)
    }

    fn write(&mut self, offset: u64, octets: &[u8]) -> io::Result<()> {
        if offset.checked_add(octets.len() as u64).is_none_or(|end| end > self.len) {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.shared.file.write_all_at(octets, offset)
    }

    fn resize(&mut self, len: u64, progress: &mut dyn FnMut(u64)) -> io::Result<()> {
        if len < self.len {
            // First it is out of reach, then it is gone.
            self.len = len;
            return self.shared.file.set_len(len);
        }
        if let Err(error) = self.allocate(len, progress) {
            // As long as it was; that it cannot even be cut is not worse than what is reported.
            self.shared.file.set_len(self.len).ok();
            return Err(error);
        }
        self.len = len;
        Ok(())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.shared.flush()
    }

    fn settle(&mut self) -> io::Result<()> {
        self.shared.flush()?;
        // Clean pages go, so that what is read comes from the disk. Advice may be ignored, and then nothing is lost
        // that was ever had.
        posix_fadvise(&self.shared.file, 0, 0, PosixFadviseAdvice::POSIX_FADV_DONTNEED).ok();
        Ok(())
    }
}

/// A file that somebody else may be writing, and even cutting: so there is no map of it.
#[derive(Debug)]
pub struct ReadOnlyFile {
    file: File,
    len: u64,
}

impl Region for ReadOnlyFile {
    fn len(&self) -> u64 {
        self.len
    }

    fn read(&self, offset: u64, into: &mut [u8]) -> io::Result<()> {
        self.file.read_exact_at(into, offset)
    }

    fn write(&mut self, _: u64, _: &[u8]) -> io::Result<()> {
        Err(io::ErrorKind::ReadOnlyFilesystem.into())
    }

    fn resize(&mut self, _: u64, _: &mut dyn FnMut(u64)) -> io::Result<()> {
        Err(io::ErrorKind::ReadOnlyFilesystem.into())
    }

    fn flush(&mut self) -> io::Result<()> {
        Err(io::ErrorKind::ReadOnlyFilesystem.into())
    }
}

const LARGE_BYTES: usize = 32 << 10;
const ZEROS_BYTES: usize = 1 << 20;
