//! `majordomo worker … --mesh`: a service that is called in the mesh with no broker to run.
//!
//! ```text
//!   call --broker mesh: ── MDP ──► Server of this process (queue, limits, rights, repeated requests) ──► its Worker
//!                                    └─ announced in the mesh as direct: for this service, and for no other worker
//! ```
//!
//! The process brings the broker's machine for itself alone: a caller of any dialect meets the same queue, the same
//! limits and the same answers as at a broker, and needs to know nothing of the difference. Its worker comes in without
//! a socket; whoever comes over one may call the service and ask about it, and, unless the allow file says so, offer
//! and administer nothing.

use broker::{Config, Rights, Server, ServiceName};
use mesh::Trust;
use protocol::rights::{ServicePattern, ServicePatterns};
use runtime::Shutdown;
use runtime::shutdown::Trigger;
use worker::Worker;

use crate::announce::{Announced, Announcer};
use crate::args::{Discovery, Session};
use crate::output;
use crate::security;
use crate::usage::{Problem, Unsuccessful};

/// The part of the process that callers see.
pub(super) struct Direct {
    server: Server,
    name: String,
    discovery: Discovery,
    trust: Option<Trust>,
    shutdown: Shutdown,
    /// Ends the worker once the server has worked off what it had.
    worker_end: Trigger,
}

impl Direct {
    /// Listens, and makes a worker that works for nobody else.
    pub(super) async fn open(
        session: &Session,
        service: &ServiceName,
        shutdown: Shutdown,
    ) -> Result<(Worker, Self), Unsuccessful> {
        if !session.security.plain.is_empty() {
            let text = "--plain: passwords are not for a worker with --mesh (allowed: --curve-secret FILE)";
            return Err(Problem::new(text.to_owned()).into());
        }
        let (options, table) = security::binding(&session.security, &session.bind, "call us")?;
        let name = session.name.clone().unwrap_or_else(|| service.to_string());
        let config = Config {
            name: name.clone(),
            heartbeat: session.heartbeat.heartbeat,
            liveness: session.heartbeat.liveness,
            ..Config::default()
        };
        let trust = security::server_trust(&options, table.as_ref());
        let server = match table {
            Some(table) => Server::bind_for(&session.bind, config, options, table).await,
            None => Server::bind(&session.bind, config, options).await,
        };
        let mut server = server.map_err(anyhow::Error::from)?.letting(callers(service));
        let (worker_end, ended) = Shutdown::new();
        let worker = Worker::inside(server.entrance(), service.as_bytes()).shutdown(ended);
        let discovery = session.discovery.clone();
        Ok((worker, Self { server, name, discovery, trust, shutdown, worker_end }))
    }

    /// Serves until the end is wished. Then the mesh is told first, so that callers go elsewhere, and what was accepted
    /// is worked off.
    pub(super) async fn run(
        self,
        serving: impl Future<Output = Result<(), worker::Error>>,
    ) -> Result<(), Unsuccessful> {
        let Self { server, name, discovery, trust, shutdown, worker_end } = self;
        let endpoints = server.endpoints().to_vec();
        let announced = Announced { name: &name, discovery: &discovery, trust, is_direct: true };
        let announcer = Announcer::start(announced, &endpoints, server.served()).await?;
        let ready: String = endpoints.iter().map(|endpoint| format!("ready {endpoint}\n")).collect();
        output::announce(&ready);
        let mut wish = shutdown.clone();
        let farewell = async {
            wish.wished().await;
            announcer.leave().await;
        };
        let rest = async {
            tokio::join!(server.run(shutdown), farewell);
            worker_end.pull();
        };
        let mut serving = std::pin::pin!(serving);
        tokio::select! {
            // Before its time only for a setting that cannot work.
            served = &mut serving => served,
            () = rest => serving.await,
        }
        .map_err(|error| anyhow::Error::from(error).into())
    }
}

/// What callers may do of whom nobody is asked who they are.
fn callers(service: &ServiceName) -> Rights {
    Rights {
        call: [ServicePattern::Exact(service.clone())].into_iter().collect(),
        offer: ServicePatterns::default(),
        admin: false,
        ..Rights::everything()
    }
}
