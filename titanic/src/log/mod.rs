//! The log: what was acknowledged is in here until it is closed.
//!
//! One file of equal chunks, used in a circle. Records are appended and never changed; an index in memory says where
//! the record is that counts. docs/TITANIC_LOG.md draws every octet and every crash; [`layout`] is the same as code.
//!
//! ```
//! use titanic::log::{Id, Kind, Log, LogId, Memory, Settings, State};
//!
//! let mut log = Log::create(Memory::new(), LogId([7; 16]), &Settings::default(), &mut |_| {})?;
//! let id = Id([1; 16]);
//! let lsn = log.append(Kind::Request, id, b"coffee")?;
//! let job = log.write_out()?.expect("something was appended");
//! // A thread of its own would flush now, while more is appended here.
//! log.on_flushed(job);
//! assert!(log.is_durable(lsn));
//!
//! let entry = log.find(&id).expect("it is open");
//! assert_eq!(entry.state(), State::Open);
//! assert_eq!(&log.read(&id, entry.request().expect("open ones have it"))?[..], b"coffee");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! The way of a record: [`Log::append`] encodes it into the batch; [`Log::write_out`] ends the batch, writes it into
//! the region and hands out a [`Job`]; whoever does the job flushes the region; [`Log::on_flushed`] makes all of it
//! durable. Batches may be written out while a flush is under way. After a write or a flush that failed the log has
//! stopped, for good: what is on the disk is found out by opening it again.
//!
//! - [`record`], [`chunk`], [`checkpoint`] are the three things in the file; [`layout`] says where they lie
//! - [`region`] what the log stands on: a vector, a mapped file, a simulated disk
//! - [`index`] which record counts; [`ring`] which chunk is free
//! - [`writer`] the log itself, with `batch` how records get into chunks, `room` who is refused first, `compact`
//!   copying forward what stays open; [`walk`], [`recover`] reading it all again
//! - [`inspect()`] what a log holds, without touching it

mod batch;
pub mod checkpoint;
pub mod chunk;
mod compact;
pub mod error;
#[cfg(feature = "file")]
pub mod file;
pub mod index;
pub mod inspect;
pub mod layout;
#[cfg(feature = "file")]
mod lock;
#[cfg(feature = "file")]
mod mmap;
mod read;
pub mod record;
pub mod recover;
pub mod region;
pub mod ring;
mod room;
pub mod walk;
pub mod writer;

pub use error::{OpenError, ReadError, Refused, Stopped};
#[cfg(feature = "file")]
pub use file::{Flusher, MappedFile, ReadOnlyFile, open, open_read_only};
pub use index::{Entry, Location, State};
pub use inspect::{Extent, Part, Summary, inspect, parts};
pub use layout::{Geometry, LogId, Lsn};
pub use record::{Header, Id, Kind};
pub use recover::{Damage, Hole, Recovery};
pub use region::{Memory, Region};
pub use writer::{Job, Log, Progress, Settings, Usage};
