//! The thread that owns the connection to SQLite, which blocks: jobs go in by a bounded queue, answers come back.

use std::path::PathBuf;

use rusqlite::Connection;
use tokio::sync::{mpsc, oneshot};

use crate::limits::SQLITE_QUEUE_MAX;
use crate::store::Fault;

/// Something to do with the connection; it sends its answer itself.
type Job = Box<dyn FnOnce(&mut Connection) + Send>;

/// The thread's queue. The thread ends, and closes the connection, when this is dropped and the queue is empty.
#[derive(Debug)]
pub(super) struct Worker {
    jobs: mpsc::Sender<Job>,
}

impl Worker {
    /// Starts the thread, which opens the connection; answers once it is open.
    pub(super) async fn start(
        file: Option<PathBuf>,
        open: fn(Option<&PathBuf>) -> Result<Connection, Fault>,
    ) -> Result<Self, Fault> {
        let (jobs, mut queue) = mpsc::channel::<Job>(SQLITE_QUEUE_MAX);
        let (opened, wait) = oneshot::channel();
        let work = move || {
            let mut connection = match open(file.as_ref()) {
                Ok(connection) => connection,
                Err(fault) => return drop(opened.send(Err(fault))),
            };
            // Nobody waits any more: the store was dropped while it was opened, and the queue is closed then.
            let _ = opened.send(Ok(()));
            while let Some(job) = queue.blocking_recv() {
                job(&mut connection);
            }
        };
        let thread = std::thread::Builder::new().name("sqlite".into());
        thread.spawn(work).map_err(|error| Fault::Broken(format!("cannot start a thread for SQLite: {error}")))?;
        wait.await.map_err(ended)??;
        Ok(Self { jobs })
    }

    /// Does a job in its turn. A caller that goes away does not stop the job.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        job: impl FnOnce(&mut Connection) -> Result<T, Fault> + Send + 'static,
    ) -> Result<T, Fault> {
        let (answer, wait) = oneshot::channel();
        let job: Job = Box::new(move |connection| drop(answer.send(job(connection))));
        self.jobs.send(job).await.map_err(ended)?;
        wait.await.map_err(ended)?
    }
}

fn ended<E>(_: E) -> Fault {
    Fault::Broken("the thread of the SQLite store has ended".into())
}
