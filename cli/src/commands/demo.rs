//! `majordomo demo`: the main job in one process, on embedded stores, printed step by step.
//!
//! ```text
//! this process:  client ──► app broker ──► MM worker ──► DB broker ──► database worker ──► SQLite in memory
//!                               └──► Titanic ──► shipping worker, which is not there at first
//! ```
//!
//! Every arrow is a real TCP connection on loopback, so that what is shown is what a deployment does. Nobody is told
//! where the brokers are: they are found in a mesh on loopback. Where loopback lets no datagrams for everybody pass,
//! the demo says so, and tells the addresses.

use std::hash::{BuildHasher, RandomState};
use std::net::Ipv4Addr;
use std::time::Duration;

use anyhow::{Context, ensure};
use broker::{Config, Server};
use client::{Client, Fetched, Frames, LazyPirate, RequestId};
use crud::{database, mm};
use mesh::{Found, Interface};
use runtime::Shutdown;
use runtime::zmtp::{Endpoint, Options};
use serde_json::json;
use titanic::server::{Place, Server as Titanic};
use tokio::task::JoinSet;
use worker::{Request, Worker};

use crate::announce::{Announced, Announcer};
use crate::args::{Demo, Discovery, Security};
use crate::discovery;
use crate::output;
use crate::usage::Unsuccessful;

pub(super) async fn run(settings: Demo, json: bool) -> Result<(), Unsuccessful> {
    let mut signals = Shutdown::on_signals().context("cannot follow signals")?;
    let mut suite = Suite::start().await?;
    let pirate = LazyPirate::new(suite.app.endpoint.to_string()).retries(5).socket_options(suite.app.options());
    let mut tour = Tour { json, step: 0, pirate };
    suite.introduce(&mut tour)?;
    suite.wait_until_registered().await?;
    tour.take().await?;
    tour.ship(&mut suite).await?;
    tour.say("the tour is over", "every answer was what it should be")?;
    if settings.serve {
        tour.say("everything stays up until SIGINT or SIGTERM", &suite.app.endpoint.to_string())?;
        signals.wished().await;
    }
    suite.end().await;
    Ok(())
}

/// Two brokers, and the workers at them. The workers end first: they are answered, and nobody looks for a broker.
struct Suite {
    app: Broker,
    db: Broker,
    brokers: Group,
    workers: Group,
}

/// A broker of the demo, as those know it who talk to it.
struct Broker {
    name: &'static str,
    endpoint: Endpoint,
    /// The way there, or why the mesh did not show it.
    found: Result<Found, String>,
    announcer: Option<Announcer>,
}

impl Broker {
    /// Starts it, announces it, and looks for it as somebody would who knows no more than its name.
    async fn start(brokers: &mut Group, name: &'static str, discovery: &Discovery) -> anyhow::Result<Self> {
        let config = Config { name: name.to_owned(), ..Config::default() };
        let server = Server::bind(&["tcp://127.0.0.1:0".parse()?], config, Options::default()).await?;
        let endpoint = server.endpoints().first().context("a broker listens somewhere")?.clone();
        let announced = Announced { name, discovery, trust: None, is_direct: false };
        let announcer = Announcer::start(announced, server.endpoints(), server.served()).await;
        brokers.tasks.spawn(server.run(brokers.shutdown.clone()));
        let (announcer, found) = match announcer {
            Ok(announcer) => (Some(announcer), look_for(name, discovery).await),
            Err(error) => (None, Err(error.to_string())),
        };
        Ok(Self { name, endpoint, found, announcer })
    }

    /// Of a socket that talks to it, and follows it where it is known by the mesh.
    fn options(&self) -> Options {
        self.found.as_ref().map_or_else(|_| Options::default(), |found| found.follow(Options::default()))
    }

    fn worker(&self, service: &str) -> Worker {
        Worker::new(self.endpoint.to_string(), service).socket_options(self.options())
    }

    fn client(&self) -> anyhow::Result<Client> {
        Ok(Client::builder(self.endpoint.to_string()).socket_options(self.options()).connect()?)
    }

    fn introduce(&self, tour: &mut Tour) -> anyhow::Result<()> {
        let Self { name, endpoint, found, .. } = self;
        match found {
            Ok(_) => {
                tour.say(&format!("{name} broker is up"), &format!("found in the mesh: mesh:{name} is {endpoint}"))
            }
            Err(reason) => tour
                .say(&format!("{name} broker is up"), &format!("{endpoint}, by its address: no mesh here ({reason})")),
        }
    }
}

async fn look_for(name: &str, discovery: &Discovery) -> Result<Found, String> {
    let place = crate::args::Place::Mesh(name.to_owned());
    let found = discovery::find(&place, discovery, &Security::default(), None, Some(FINDING_MAX)).await;
    found.map_err(|error| error.to_string())
}

/// A mesh on loopback, for this demo alone.
fn own_mesh() -> Discovery {
    Discovery {
        interface: vec![Interface::Address(Ipv4Addr::LOCALHOST.into())],
        mesh_name: format!("demo-{:x}", RandomState::new().hash_one(std::process::id())),
        beacon_port: protocol::zre::PORT,
        multicast: None,
        gossip: Vec::new(),
        gossip_bind: None,
        peer: Vec::new(),
        mesh_expiry: Duration::from_secs(3),
    }
}

/// Tasks that end together, and the wish that they do.
struct Group {
    trigger: runtime::shutdown::Trigger,
    shutdown: Shutdown,
    tasks: JoinSet<()>,
}

impl Group {
    fn new() -> Self {
        let (trigger, shutdown) = Shutdown::new();
        Self { trigger, shutdown, tasks: JoinSet::new() }
    }

    async fn end(mut self) {
        self.trigger.pull();
        while self.tasks.join_next().await.is_some() {}
    }
}

impl Suite {
    async fn start() -> anyhow::Result<Self> {
        let (mut brokers, mut workers) = (Group::new(), Group::new());
        let mesh = own_mesh();
        let app = Broker::start(&mut brokers, "app", &mesh).await.context("cannot start the app broker")?;
        let db = Broker::start(&mut brokers, "db", &mesh).await.context("cannot start the DB broker")?;
        let store = database::Handler::open(&"sqlite::memory:".parse()?, &"memory:".parse()?).await?;
        let worker = db.worker(mm::DATABASE_SERVICE).shutdown(workers.shutdown.clone());
        workers.tasks.spawn(serve(worker, move |request| async move { store.handle(request.body).await }));
        let orders = mm::Handler::new(db.client()?);
        let worker = app.worker("MM").shutdown(workers.shutdown.clone());
        workers.tasks.spawn(serve(worker, move |request| async move { orders.handle(request.body).await }));
        titanic(&mut workers, &app)?;
        Ok(Self { app, db, brokers, workers })
    }

    fn introduce(&self, tour: &mut Tour) -> anyhow::Result<()> {
        self.app.introduce(tour)?;
        self.db.introduce(tour)?;
        tour.say("database worker serves MongoDB", "SQLite in memory, cache in memory")?;
        tour.say("MM worker serves purchase orders", "through the DB broker")?;
        tour.say("Titanic keeps what cannot be done yet", "in memory; with --log FILE it survives a power cut")
    }

    /// The workers have to be known to their brokers before the tour makes sense; the brokers tell.
    async fn wait_until_registered(&self) -> anyhow::Result<()> {
        let registered = async {
            for (endpoint, name) in [
                (&self.app.endpoint, "MM"),
                (&self.app.endpoint, "titanic.request"),
                (&self.db.endpoint, mm::DATABASE_SERVICE),
            ] {
                let is_there = |service: &client::Service| service.service == name && service.workers > 0;
                while !client::services(endpoint.to_string()).await?.services.iter().any(is_there) {
                    tokio::time::sleep(Duration::from_millis(10)).await;
                }
            }
            anyhow::Ok(())
        };
        tokio::time::timeout(REGISTRATION_MAX, registered).await.context("the workers did not register")?
    }

    /// The worker that was not there.
    fn start_shipping(&mut self) {
        let worker = self.app.worker(SHIPPING).shutdown(self.workers.shutdown.clone());
        let ship = |request: Request| async move {
            let mut shipped = Frames::from(["shipped"]);
            shipped.extend(request.body);
            shipped
        };
        self.workers.tasks.spawn(serve(worker, ship));
    }

    async fn end(self) {
        self.workers.end().await;
        for announcer in [self.app.announcer, self.db.announcer].into_iter().flatten() {
            announcer.leave().await;
        }
        self.brokers.end().await;
    }
}

fn titanic(workers: &mut Group, broker: &Broker) -> anyhow::Result<()> {
    let capacity_bytes = 16 << 20;
    let log = titanic::log::Settings { capacity_bytes, initial_bytes: capacity_bytes, geometry: None };
    let titanic = Titanic::in_memory(&log, titanic::store::Config::default())?;
    let place = Place { broker: broker.endpoint.to_string(), options: broker.options() };
    let shutdown = workers.shutdown.clone();
    workers.tasks.spawn(async move {
        if let Err(error) = titanic.serve(place, shutdown).await {
            tracing::error!("{error}");
        }
    });
    Ok(())
}

async fn serve<F, Answer>(worker: Worker, handler: F)
where
    F: FnOnce(Request) -> Answer + Clone + Send + 'static,
    Answer: Future<Output = Frames> + Send + 'static,
{
    let handler = |request| async move { Ok::<Frames, String>(handler(request).await) };
    if let Err(error) = worker.serve(handler).await {
        tracing::error!("{error}");
    }
}

/// The purchase-order tour: every operation, checked, and each of the answers that people ask about.
struct Tour {
    json: bool,
    step: u32,
    pirate: LazyPirate,
}

impl Tour {
    async fn take(&mut self) -> anyhow::Result<()> {
        let bolts = r#"{"_id":"PO-1","item":"bolts","quantity":40}"#;
        let nuts = r#"{"_id":"PO-2","item":"nuts","quantity":5}"#;
        self.call("save an order", ["POSave", bolts], |reply| reply == ["200", r#"{"_id":"PO-1"}"#]).await?;
        self.call("save another", ["POSave", nuts], |reply| reply == ["200", r#"{"_id":"PO-2"}"#]).await?;
        let large = r#"{"quantity":{"$gt":10}}"#;
        self.call("select the large ones", ["POSelect", large], |reply| reply == ["200", bolts]).await?;
        let more = r#"{"$inc":{"quantity":2}}"#;
        self.call("order two more", ["POUpdate", r#"{"_id":"PO-1"}"#, more], |reply| reply == ["200", "1"]).await?;
        let now = r#"{"_id":"PO-1","item":"bolts","quantity":42}"#;
        self.call("the cache knows already", ["POSelect", large], |reply| reply == ["200", now]).await?;
        self.call("the same order again", ["POSave", bolts], |reply| starts(reply, "409 ")).await?;
        self.call("nothing found is an answer", ["POSelect", r#"{"item":"none"}"#], |reply| reply == ["200"]).await?;
        self.call("nonsense is refused", ["POSelect", "{quantity"], |reply| starts(reply, "400 ")).await?;
        self.call("delete both", ["PODelete", "{}"], |reply| reply == ["200", "2"]).await?;
        self.call("and none is left", ["POSelect", "{}"], |reply| reply == ["200"]).await
    }

    /// A request for a service that is not there yet: stored, executed when the service comes, fetched, closed.
    async fn ship(&mut self, suite: &mut Suite) -> anyhow::Result<()> {
        let client = suite.app.client()?;
        let titanic = client.titanic();
        let id = titanic.submit(SHIPPING, ["PO-1"]).await?;
        self.say("submit a job that nobody does yet", &format!("{SHIPPING} PO-1  →  {}", text(id)))?;
        let fetched = titanic.fetch(id, Duration::ZERO).await?;
        ensure!(fetched == Fetched::Pending, "step {}: {fetched:?} before the service was there", self.step);
        self.say("fetch its answer", "pending")?;
        suite.start_shipping();
        self.say("start the worker that does it", SHIPPING)?;
        let fetched = titanic.fetch(id, REGISTRATION_MAX).await?;
        let shipped = Fetched::Answer(["shipped", "PO-1"].into());
        ensure!(fetched == shipped, "step {}: {fetched:?} when the service was there", self.step);
        self.say("fetch its answer", "shipped PO-1")?;
        titanic.close(id).await?;
        let fetched = titanic.fetch(id, Duration::ZERO).await?;
        ensure!(fetched == Fetched::Unknown, "step {}: {fetched:?} after it was closed", self.step);
        self.say("close it", "and nothing is left of it")
    }

    async fn call<const N: usize>(
        &mut self,
        what: &str,
        request: [&'static str; N],
        is_right: impl FnOnce(&[String]) -> bool,
    ) -> anyhow::Result<()> {
        let reply = self.pirate.request("MM", request).await?;
        let reply: Vec<String> = reply.body.iter().map(|frame| String::from_utf8_lossy(frame).into_owned()).collect();
        let line = format!("{}  →  {}", request.join(" "), reply.join(" "));
        self.say(what, &line)?;
        ensure!(is_right(&reply), "step {} ({what}) was answered {reply:?}", self.step);
        Ok(())
    }

    fn say(&mut self, what: &str, detail: &str) -> anyhow::Result<()> {
        self.step += 1;
        if self.json {
            return output::json(&json!({ "step": self.step, "what": what, "detail": detail }));
        }
        output::line(&format!("{:>2}. {what:<34} {detail}", self.step))
    }
}

fn starts(reply: &[String], status: &str) -> bool {
    reply.first().is_some_and(|first| first.starts_with(status))
}

fn text(RequestId(id): RequestId) -> String {
    titanic::log::Id(id).to_string()
}

const SHIPPING: &str = "shipping";
/// A mesh on loopback is whole at once; whatever takes longer is none.
const FINDING_MAX: Duration = Duration::from_secs(2);
const REGISTRATION_MAX: Duration = Duration::from_secs(10);
