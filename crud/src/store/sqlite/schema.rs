//! The tables of the embedded store, and how a connection is set up so that an acknowledged write stays written.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rusqlite::{Connection, ErrorCode, TransactionBehavior};

use crate::limits::SQLITE_PATIENCE;
use crate::store::Fault;

/// Opens a file, or a store in memory, and makes its tables if they are not there.
pub(super) fn open(file: Option<&PathBuf>) -> Result<Connection, Fault> {
    let named = |error: rusqlite::Error| match file {
        Some(file) => Fault::Broken(format!("cannot open the SQLite file {}: {error}", file.display())),
        None => error.into(),
    };
    let mut connection = match file {
        Some(file) => Connection::open(file).map_err(named)?,
        None => Connection::open_in_memory().map_err(named)?,
    };
    connection.busy_timeout(SQLITE_PATIENCE).map_err(named)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS_CACHED);
    write_ahead(&connection).map_err(named)?;
    connection.pragma_update(None, "synchronous", "FULL").map_err(named)?;
    match lay(&mut connection).map_err(named)? {
        Found::Ours => Ok(connection),
        Found::Foreign => Err(foreign(file.map_or(Path::new("memory"), PathBuf::as_path))),
    }
}

/// Whose tables a file holds.
enum Found {
    Ours,
    Foreign,
}

fn foreign(file: &Path) -> Fault {
    Fault::Broken(format!("{} is a SQLite file of another program, or of a newer version of this one", file.display()))
}

/// The write-ahead log: readers and one writer do not block each other. SQLite does not wait for the lock that the
/// change of mode needs, so that two processes opening a new file at once have to try again.
fn write_ahead(connection: &Connection) -> rusqlite::Result<()> {
    let start = Instant::now();
    loop {
        match connection.pragma_update(None, "journal_mode", "WAL") {
            Err(error)
                if error.sqlite_error_code() == Some(ErrorCode::DatabaseBusy) && start.elapsed() < SQLITE_PATIENCE =>
            {
                std::thread::sleep(Duration::from_millis(10));
            }
            other => return other,
        }
    }
}

fn lay(connection: &mut Connection) -> rusqlite::Result<Found> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let number = |sql: &str| transaction.query_row(sql, [], |row| row.get::<_, i64>(0));
    let application = number("PRAGMA application_id")?;
    let version = number("PRAGMA user_version")?;
    let tables_count = number("SELECT count(*) FROM sqlite_schema")?;
    match (application, version, tables_count) {
        (APPLICATION, VERSION, _) => return Ok(Found::Ours),
        (0, 0, 0) => {}
        _ => return Ok(Found::Foreign),
    }
    transaction.execute_batch(TABLES)?;
    transaction.pragma_update(None, "application_id", APPLICATION)?;
    transaction.pragma_update(None, "user_version", VERSION)?;
    transaction.commit()?;
    Ok(Found::Ours)
}

const TABLES: &str = "
    CREATE TABLE documents (
        namespace TEXT NOT NULL,
        id        BLOB NOT NULL,
        body      BLOB NOT NULL,
        PRIMARY KEY (namespace, id)
    ) STRICT;
    CREATE TABLE grants (
        database TEXT PRIMARY KEY,
        revision INTEGER NOT NULL,
        body     BLOB NOT NULL
    ) STRICT;
";
/// \"MJDO\" in the file's header.
const APPLICATION: i64 = 0x4D4A_444F;
/// Of the tables above.
const VERSION: i64 = 1;
const STATEMENTS_CACHED: usize = 16;
