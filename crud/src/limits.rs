//! Every limit of the two services, in one table. Each is met before the memory that it bounds is taken.

use std::time::Duration;

/// Bytes of one JSON frame: a document, a query or an update.
pub const TEXT_BYTES_MAX: usize = 16 << 20;
/// Nested objects and arrays of one JSON frame. MongoDB stops at 100; an update can double the depth of what is stored.
pub const DEPTH_MAX: usize = 64;
/// Values of one JSON frame, nested ones counted: a text of 16 MiB would otherwise become gigabytes of tree.
pub const VALUES_MAX: usize = 100_000;
/// Bytes of one document as BSON, which is MongoDB's own limit.
pub const DOCUMENT_BYTES_MAX: usize = 16 << 20;
/// Names of one dotted path.
pub const PATH_NAMES_MAX: usize = 64;
/// Conditions of one query, and changes of one update.
pub const CONDITIONS_MAX: usize = 1000;
/// Places that an update may fill with nulls to reach an index past the end of an array, which is MongoDB's own limit.
pub const PADDING_MAX: usize = 1_500_000;
/// Documents of one answer: with the status it stays below the 992 frames that a body may have, whoever relays it.
pub const ROWS_MAX: usize = 900;
/// Bytes of one answer, half of what a message may have, so that a relay has room for its own frames.
pub const ANSWER_BYTES_MAX: usize = 32 << 20;
/// Bytes of a database's name, which is MongoDB's own limit.
pub const DATABASE_NAME_BYTES_MAX: usize = 63;
/// Bytes of a collection's name. MongoDB allows 255 together with the database's.
pub const COLLECTION_NAME_BYTES_MAX: usize = 120;

/// How long a cache may take before the answer is fetched from the store instead.
pub const CACHE_PATIENCE: Duration = Duration::from_millis(50);
/// How long a cached answer lives: what writers outside the suite change is seen after this at the latest.
pub const CACHE_AGE_MAX: Duration = Duration::from_secs(60);
/// Bytes of one cached answer; larger ones are fetched each time.
pub const CACHE_ANSWER_BYTES_MAX: usize = 1 << 20;
/// Bytes of a query that may be a key of the cache.
pub const CACHE_KEY_BYTES_MAX: usize = 1 << 10;
/// Bytes of all answers that the in-process cache holds.
pub const MEMORY_CACHE_BYTES_MAX: usize = 64 << 20;
/// Answers that the in-process cache holds, and collections whose generation it remembers.
pub const MEMORY_CACHE_ANSWERS_MAX: usize = 10_000;
/// How long a worker waits for another process that holds the write lock of the same SQLite file.
pub const SQLITE_PATIENCE: Duration = Duration::from_secs(5);
/// How long a worker looks for a MongoDB server. A request may look twice, once for its documents and once for the
/// record of the cache: it is answered 500 within the 2.5 s that a client waits all the same.
pub const MONGO_PATIENCE: Duration = Duration::from_secs(1);
/// How long a MongoDB server that was found may take over one operation: a little longer than it may take itself to
/// have a majority confirm a write. A server that is frozen is noticed by the driver later than this.
pub const MONGO_ANSWER_PATIENCE: Duration = Duration::from_secs(12);
/// Requests that may wait for the thread of a SQLite store.
pub const SQLITE_QUEUE_MAX: usize = 1024;
