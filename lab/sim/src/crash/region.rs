//! The simulated disk as the region of a log; every operation on it is a point for images.

use std::cell::{Cell, RefCell};
use std::io;
use std::rc::Rc;

use protocol::Instant;
use titanic::log::Region;

use super::history::History;
use super::{Image, Probe, Violation};
use crate::disk::{Disk, Done, Error, Handle, Process};

/// The process that has the log open.
pub(crate) const MAIN: Process = Process(1);
/// The name of the log.
pub(crate) const NAME: &str = "titanic.log";

/// Who makes images, and what they are compared with.
type Watch = (Rc<RefCell<History>>, Rc<RefCell<Probe>>);

/// A file on a disk, and the clock of the process that uses it. Clones are the same file.
#[derive(Clone, Debug)]
pub(crate) struct DiskRegion {
    disk: Rc<RefCell<Disk>>,
    now: Rc<Cell<Instant>>,
    handle: Rc<Cell<Option<Handle>>>,
    watch: Option<Watch>,
}

impl DiskRegion {
    /// Each of its operations is watched.
    pub(super) fn new(disk: Rc<RefCell<Disk>>, history: Rc<RefCell<History>>, probe: Rc<RefCell<Probe>>) -> Self {
        let mut region = Self::quiet(disk, Instant::ZERO);
        region.watch = Some((history, probe));
        region
    }

    /// The same file, unwatched: a log that is not made yet has promised nothing.
    pub(crate) fn unwatched(&self) -> Self {
        Self { watch: None, ..self.clone() }
    }

    /// Nobody watches.
    pub(crate) fn quiet(disk: Rc<RefCell<Disk>>, now: Instant) -> Self {
        Self { disk, now: Rc::new(Cell::new(now)), handle: Rc::new(Cell::new(None)), watch: None }
    }

    pub(crate) fn disk(&self) -> &RefCell<Disk> {
        &self.disk
    }

    pub(crate) fn now(&self) -> Instant {
        self.now.get()
    }

    /// Time has passed elsewhere.
    pub(crate) fn pass(&self, now: Instant) {
        self.now.set(self.now().max(now));
    }

    /// Whether the file could be created.
    pub(crate) fn create(&self) -> bool {
        let handle = self.disk.borrow_mut().create(MAIN, NAME);
        self.handle.set(handle.ok());
        handle.is_ok()
    }

    pub(crate) fn open(&self, name: &str) -> Result<(), Error> {
        let handle = self.disk.borrow_mut().open(MAIN, name)?;
        self.handle.set(Some(handle));
        Ok(())
    }

    /// Its process ends politely.
    pub(crate) fn close(&self) {
        if let Some(handle) = self.handle.take() {
            self.disk.borrow_mut().close(handle);
        }
    }

    /// The name becomes safe.
    pub(crate) fn settle_names(&self) {
        let done = self.disk.borrow_mut().flush_directory(self.now());
        self.now.set(done.at);
        self.disk.borrow_mut().settle(done.at);
    }

    /// Begins a flush, which is over with [`end_flush`](Self::end_flush).
    pub(crate) fn begin_flush(&self) -> io::Result<Done<()>> {
        let handle = self.handle()?;
        let done = self.disk.borrow_mut().flush(self.now(), handle);
        self.point();
        Ok(done)
    }

    /// The answer to a flush is there.
    pub(crate) fn end_flush(&self, done: Done<()>) -> io::Result<()> {
        self.now.set(self.now().max(done.at));
        self.disk.borrow_mut().settle(self.now());
        done.result.map_err(io_error)
    }

    /// Here the power may go.
    pub(crate) fn point(&self) {
        if let Some((history, probe)) = &self.watch {
            probe.borrow_mut().at_point(&self.disk.borrow(), self.now(), &history.borrow());
        }
    }

    /// Something is wrong in the run itself.
    pub(super) fn objection(&self, violation: impl FnOnce(Image) -> Violation) {
        if let Some((_, probe)) = &self.watch {
            probe.borrow_mut().object(violation);
        }
    }

    fn handle(&self) -> io::Result<Handle> {
        self.handle.get().ok_or_else(|| io::ErrorKind::NotConnected.into())
    }

    fn after<T>(&self, done: Done<T>) -> io::Result<T> {
        self.now.set(done.at);
        done.result.map_err(io_error)
    }
}

impl Region for DiskRegion {
    fn len(&self) -> u64 {
        self.handle().ok().and_then(|handle| self.disk.borrow().len(handle).ok()).unwrap_or(0) as u64
    }

    fn read(&self, offset: u64, into: &mut [u8]) -> io::Result<()> {
        let (handle, offset) = (self.handle()?, place(offset)?);
        // Reading takes no time: it changes nothing that a crash could show.
        self.disk.borrow_mut().read(self.now(), handle, offset, into).result.map_err(io_error)
    }

    fn write(&mut self, offset: u64, octets: &[u8]) -> io::Result<()> {
        let (handle, mut offset, mut rest) = (self.handle()?, place(offset)?, octets);
        while !rest.is_empty() {
            let done = self.disk.borrow_mut().write(self.now(), handle, offset, rest);
            let count = self.after(done)?;
            offset += count;
            rest = rest.get(count..).unwrap_or_default();
            self.point();
        }
        Ok(())
    }

    fn resize(&mut self, len: u64, progress: &mut dyn FnMut(u64)) -> io::Result<()> {
        let (handle, wanted) = (self.handle()?, place(len)?);
        let done = match wanted >= place(self.len())? {
            true => self.disk.borrow_mut().preallocate(self.now(), handle, wanted),
            false => self.disk.borrow_mut().resize(self.now(), handle, wanted),
        };
        self.after(done)?;
        self.point();
        progress(len);
        Ok(())
    }

    fn flush(&mut self) -> io::Result<()> {
        let done = self.begin_flush()?;
        self.end_flush(done)?;
        self.point();
        Ok(())
    }

    fn settle(&mut self) -> io::Result<()> {
        self.flush()?;
        let handle = self.handle()?;
        self.disk.borrow_mut().drop_caches(self.now(), handle).map_err(io_error)
    }
}

fn place(offset: u64) -> io::Result<usize> {
    usize::try_from(offset).map_err(|_| io::ErrorKind::InvalidInput.into())
}

fn io_error(error: Error) -> io::Error {
    let kind = match error {
        Error::NoSpace => io::ErrorKind::StorageFull,
        Error::OutOfRange => io::ErrorKind::UnexpectedEof,
        Error::NotFound => io::ErrorKind::NotFound,
        Error::Exists => io::ErrorKind::AlreadyExists,
        Error::Locked { .. } => io::ErrorKind::WouldBlock,
        Error::Io | Error::Closed => io::ErrorKind::Other,
    };
    io::Error::new(kind, error)
}
