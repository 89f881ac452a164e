//! `majordomo demo`: the main job in one process, on embedded stores, printed step by step.
//!
//! ```text
//! this process:  client ──► app broker ──► MM worker ──► DB broker ──► database worker ──► SQLite in memory
//! ```
//!
//! Every arrow is a real TCP connection on loopback, so that what is shown is what a deployment does.

use std::time::Duration;

use anyhow::{Context, ensure};
use broker::{Config, Server};
use client::{Client, Frames, LazyPirate};
use crud::{database, mm};
use runtime::Shutdown;
use serde_json::json;
use tokio::task::JoinSet;
use worker::{Request, Worker};

use crate::args::Demo;
use crate::output;
use crate::usage::Unsuccessful;

pub(super) async fn run(settings: Demo, json: bool) -> Result<(), Unsuccessful> {
    let mut signals = Shutdown::on_signals().context("cannot follow signals")?;
    let suite = Suite::start().await?;
    let mut tour = Tour { json, step: 0, pirate: LazyPirate::new(suite.app.clone()).retries(5) };
    suite.introduce(&mut tour)?;
    suite.wait_until_registered().await?;
    tour.take().await?;
    if settings.serve {
        tour.say("everything stays up until SIGINT or SIGTERM", &suite.app)?;
        signals.wished().await;
    }
    suite.end().await;
    Ok(())
}

/// Two brokers and two workers, and the wish to end them.
struct Suite {
    app: String,
    db: String,
    trigger: runtime::shutdown::Trigger,
    tasks: JoinSet<()>,
}

impl Suite {
    async fn start() -> anyhow::Result<Self> {
        let (trigger, shutdown) = Shutdown::new();
        let mut tasks = JoinSet::new();
        let app = broker(&mut tasks, shutdown.clone()).await.context("cannot start the app broker")?;
        let db = broker(&mut tasks, shutdown.clone()).await.context("cannot start the DB broker")?;
        let store = database::Handler::open(&"sqlite::memory:".parse()?, &"memory:".parse()?).await?;
        let worker = Worker::new(db.clone(), mm::DATABASE_SERVICE).shutdown(shutdown.clone());
        tasks.spawn(serve(worker, move |request| async move { store.handle(request.body).await }));
        let orders = mm::Handler::new(Client::connect(db.clone())?);
        let worker = Worker::new(app.clone(), "MM").shutdown(shutdown);
        tasks.spawn(serve(worker, move |request| async move { orders.handle(request.body).await }));
        Ok(Self { app, db, trigger, tasks })
    }

    fn introduce(&self, tour: &mut Tour) -> anyhow::Result<()> {
        tour.say("app broker is up", &self.app)?;
        tour.say("DB broker is up", &self.db)?;
        tour.say("database worker serves MongoDB", "SQLite in memory, cache in memory")?;
        tour.say("MM worker serves purchase orders", "through the DB broker")
    }

    /// The workers have to be known to their brokers before the tour makes sense; the brokers tell.
    async fn wait_until_registered(&self) -> anyhow::Result<()> {
        let registered = async {
            for endpoint in [&self.app, &self.db] {
                while client::services(endpoint.clone()).await?.iter().all(|service| service.workers == 0) {
                    tokio::time::sleep(Duration::from_millis(10)).await;
                }
            }
            anyhow::Ok(())
        };
        tokio::time::timeout(REGISTRATION_MAX, registered).await.context("the workers did not register")?
    }

    async fn end(mut self) {
        self.trigger.pull();
        while self.tasks.join_next().await.is_some() {}
    }
}

async fn broker(tasks: &mut JoinSet<()>, shutdown: Shutdown) -> anyhow::Result<String> {
    let endpoint = "tcp://127.0.0.1:0".parse()?;
    let server = Server::bind(&[endpoint], Config::default(), runtime::zmtp::Options::default()).await?;
    let endpoint = server.endpoints().first().context("a broker listens somewhere")?.to_string();
    tasks.spawn(server.run(shutdown));
    Ok(endpoint)
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
        self.call("and none is left", ["POSelect", "{}"], |reply| reply == ["200"]).await?;
        self.say("the tour is over", "every answer was what it should be")
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

const REGISTRATION_MAX: Duration = Duration::from_secs(10);
