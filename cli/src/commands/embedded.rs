//! Titanic within the broker's process: in a thread of its own, so that no disk can hold the broker up.

use std::thread::JoinHandle;

use anyhow::Context;
use broker::Server as Broker;
use runtime::Shutdown;
use runtime::shutdown::Trigger;
use titanic::log::Region;
use titanic::server::{Error, Server, Status};
use tokio::sync::{oneshot, watch};

use super::titanic::{Opened, open};
use crate::args::Embedded;

/// A Titanic that serves.
pub(super) struct Aboard {
    thread: JoinHandle<Result<(), Error>>,
    trigger: Trigger,
    ended: Option<oneshot::Receiver<()>>,
    status: watch::Receiver<Status>,
}

/// Opens what the flags ask for, if they ask for anything: before the broker listens, so that nobody meets a broker
/// that is still reading a log.
pub(super) fn opened(settings: &Embedded) -> anyhow::Result<Option<Opened>> {
    if settings.titanic.is_none() && !settings.keeping.memory {
        return Ok(None);
    }
    open(settings.titanic.as_deref(), &settings.keeping, settings.titanic_attempts).map(Some)
}

impl Aboard {
    pub(super) fn start(opened: Opened, broker: &mut Broker) -> anyhow::Result<Self> {
        match opened {
            Opened::File(server) => Self::start_server(server, broker),
            Opened::Memory(server) => Self::start_server(server, broker),
        }
    }

    fn start_server<R: Region + Send + 'static>(server: Server<R>, broker: &mut Broker) -> anyhow::Result<Self> {
        let (entrance, status) = (broker.entrance(), server.status());
        let (trigger, shutdown) = Shutdown::new();
        let (end, ended) = oneshot::channel();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let serve = move || {
            let outcome = runtime.block_on(server.serve_inside(entrance, shutdown));
            // An error means that the broker has ended first.
            let _ = end.send(());
            outcome
        };
        let thread = std::thread::Builder::new().name("titanic".to_owned()).spawn(serve);
        Ok(Self { thread: thread.context("no thread for Titanic")?, trigger, ended: Some(ended), status })
    }

    /// A view of how it fares.
    pub(super) fn status(&self) -> watch::Receiver<Status> {
        self.status.clone()
    }

    /// What the broker is to follow: the wishes of `shutdown`, and an end of Titanic that nobody wished. A broker that
    /// cannot keep any more what it promised to keep works off what it has and ends.
    pub(super) fn bind(&mut self, mut shutdown: Shutdown) -> Shutdown {
        let (trigger, both) = Shutdown::new();
        let ended = self.ended.take();
        tokio::spawn(async move {
            let died = async {
                match ended {
                    // An error means the same: the thread is gone.
                    Some(ended) => drop(ended.await),
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = shutdown.wished() => {}
                () = died => tracing::error!("Titanic has ended: so does the broker"),
            }
            trigger.pull();
            shutdown.insisted().await;
            trigger.pull();
        });
        both
    }

    /// The broker has ended: what was taken is flushed, and the log closed.
    pub(super) fn end(self) -> anyhow::Result<()> {
        self.trigger.pull();
        match self.thread.join() {
            Ok(outcome) => Ok(outcome?),
            Err(_) => anyhow::bail!("Titanic's thread has panicked"),
        }
    }
}
