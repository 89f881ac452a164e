//! `majordomo broker --mesh`, `worker … --mesh`: tells the mesh where we listen and what is served, as it changes.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::Context;
use broker::ServiceName;
use mesh::announcement::{Announcement, GROUP};
use mesh::{Events, GroupName, Mesh, Settings, Trust};
use runtime::zmtp::Endpoint;
use tokio::sync::{oneshot, watch};
use tokio::task::JoinHandle;
use tokio::time::{MissedTickBehavior, interval};

use crate::args::Discovery;
use crate::discovery::{enter, settings};
use crate::usage::{Problem, Unsuccessful};

/// A broker's node in the mesh.
#[derive(Debug)]
pub(crate) struct Announcer {
    task: JoinHandle<()>,
    end: oneshot::Sender<()>,
}

/// Who is announced, and where.
#[derive(Debug, Clone)]
pub(crate) struct Announced<'a> {
    pub(crate) name: &'a str,
    pub(crate) discovery: &'a Discovery,
    /// Whose company is kept; the same as on the server's own sockets.
    pub(crate) trust: Option<Trust>,
    /// Whether it is a worker that is called directly, and no broker for others.
    pub(crate) is_direct: bool,
}

/// How long changes are gathered before they are told.
const GATHER: Duration = Duration::from_millis(100);
/// How often what is served is told again, for whoever has missed it.
const REFRESH: Duration = Duration::from_secs(10);
/// The dialects of MDP that the broker speaks.
const DIALECTS: [&str; 3] = ["0.1", "0.2", "0.3"];

impl Announcer {
    /// Enters the mesh for a server that listens already at these endpoints.
    pub(crate) async fn start(
        who: Announced<'_>,
        endpoints: &[Endpoint],
        served: watch::Receiver<Vec<ServiceName>>,
    ) -> Result<Self, Unsuccessful> {
        let group: GroupName = GROUP.parse().context("the group of brokers")?;
        let settings = settings(who.discovery, who.trust);
        let headers = settings.headers.clone();
        let addresses = mesh::addresses(&settings).map_err(|error| Problem::new(error.to_string()))?;
        let announcement = Announcement {
            broker: who.name.to_owned(),
            endpoints: mesh::reachable(endpoints, &addresses),
            dialects: DIALECTS.map(str::to_owned).to_vec(),
            services: Vec::new(),
            is_direct: who.is_direct,
        };
        let all = headers.clone().into_iter().chain(announcement.headers()).collect();
        let (mesh, events) =
            enter(Settings { name: Some(who.name.to_owned()), groups: vec![group.clone()], headers: all, ..settings })
                .await?;
        let (end, ended) = oneshot::channel();
        let teller = Teller { mesh, group, headers, announcement };
        let task = tokio::spawn(teller.run(events, served, ended));
        Ok(Self { task, end })
    }

    /// Says farewell.
    pub(crate) async fn leave(self) {
        // Errors mean that the task has ended already.
        let _ = self.end.send(());
        let _ = self.task.await;
    }
}

struct Teller {
    mesh: Mesh,
    group: GroupName,
    headers: BTreeMap<String, String>,
    announcement: Announcement,
}

impl Teller {
    async fn run(
        mut self,
        mut events: Events,
        mut served: watch::Receiver<Vec<ServiceName>>,
        mut ended: oneshot::Receiver<()>,
    ) {
        let mut refresh = interval(REFRESH);
        refresh.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                _ = &mut ended => break,
                // What others do is no affair of a broker; it is taken so that it does not pile up.
                event = events.recv() => if event.is_none() { break },
                _ = refresh.tick() => self.shout().await,
                changed = served.changed() => {
                    if changed.is_err() {
                        break;
                    }
                    tokio::time::sleep(GATHER).await;
                    let names = served.borrow_and_update().clone();
                    self.tell(&names).await;
                }
            }
        }
        self.mesh.leave().await;
    }

    async fn tell(&mut self, names: &[ServiceName]) {
        self.announcement.services =
            names.iter().filter_map(|name| Some(std::str::from_utf8(name.as_bytes()).ok()?.to_owned())).collect();
        let headers = self.headers.clone().into_iter().chain(self.announcement.headers()).collect();
        if let Err(error) = self.mesh.announce(headers).await {
            tracing::warn!("the mesh is not told what is served: {error}");
        }
        self.shout().await;
    }

    async fn shout(&self) {
        if let Err(error) = self.mesh.shout(self.group.clone(), self.announcement.shout()).await {
            tracing::warn!("the mesh is not told what is served: {error}");
        }
    }
}
