//! A broker that is found in the mesh, and followed when it moves.
//!
//! ```text
//!   mesh ── Enter, Exit, ServiceUp, ServiceDown ──► Brokers: the best one now ──► a socket's `Moves`
//! ```
//!
//! The best one is the one that serves what is wanted, then one on this machine, then the nearest, then the one that
//! was there first. A worker that is called directly is as good as a broker, and only for what it serves.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use protocol::zre::NodeId;
use runtime::zmtp::{Endpoint, Moves, Options};
use tokio::sync::watch;
use tokio::time::{Instant, timeout_at};

use super::{Error, Events, Mesh, Settings};
use crate::announcement::{self, Announcement};
use crate::event::Event;

/// Which broker.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wanted {
    /// Its name; empty for any.
    pub broker: String,
    /// What it shall serve, if there is one that does.
    pub service: Option<String>,
}

/// A broker: where it is, and how a socket follows it.
#[derive(Clone, Debug)]
pub struct Found {
    /// Where it is now.
    pub endpoint: Endpoint,
    moves: Option<Moves>,
}

/// A service that a broker of the mesh has workers for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Offer {
    /// The service.
    pub service: Arc<str>,
    /// What the broker is called.
    pub broker: Arc<str>,
    /// Where it listens.
    pub endpoint: Arc<str>,
    /// Its node.
    pub node: NodeId,
    /// Whether it is no broker but a worker that is called directly.
    pub is_direct: bool,
}

/// The header by which processes know that they share loopback.
pub const HOST_HEADER: &str = "X-HOST";
/// How long it is waited for whether there is one that is nearer, unless there is one on this machine.
const NEARER_MAX: Duration = Duration::from_millis(50);
/// How long a broker is waited for that serves what is wanted, when others are there.
const BETTER_MAX: Duration = Duration::from_secs(1);
/// Everybody answers a node's first beacon; one that it did not reach is heard itself within a second.
const LISTEN: Duration = Duration::from_millis(1500);

/// Waits for a broker, as long as it takes, and follows it until what is returned, and all sockets with its options,
/// are gone.
///
/// ```no_run
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// let found = mesh::find(mesh::Settings::default(), mesh::Wanted::default()).await?;
/// let options = found.follow(Default::default());
/// println!("{} {options:?}", found.endpoint);
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// As [`Mesh::enter`].
pub async fn find(settings: Settings, wanted: Wanted) -> Result<Found, Error> {
    let (mesh, mut events) = enter(Settings { measures: true, ..settings }).await?;
    let mut brokers = Brokers::new(wanted);
    let endpoint = brokers.first(&mut events).await.ok_or(Error::Left)?;
    tracing::info!("found a broker at {endpoint}");
    let (tell, now) = watch::channel(endpoint.clone());
    tokio::spawn(follow(mesh, events, brokers, tell));
    Ok(Found { moves: Some(Moves { from: endpoint.clone(), now }), endpoint })
}

/// What all brokers of the mesh offer, as far as it is heard within a second and a half.
///
/// # Errors
/// As [`Mesh::enter`].
pub async fn offers(settings: Settings) -> Result<Vec<Offer>, Error> {
    let (mesh, mut events) = enter(settings).await?;
    let (mut offers, mut direct) = (BTreeSet::new(), BTreeSet::new());
    let end = Instant::now() + LISTEN;
    while let Ok(Some(event)) = timeout_at(end, events.recv()).await {
        match event {
            Event::Enter { node, headers, .. }
                if Announcement::from_headers(&headers).is_some_and(|announcement| announcement.is_direct) =>
            {
                direct.insert(node);
            }
            Event::ServiceUp { node, name, endpoint, service } => {
                offers.insert(Offer { service, broker: name, endpoint, node, is_direct: direct.contains(&node) });
            }
            Event::ServiceDown { node, name, endpoint, service } => {
                offers.remove(&Offer { service, broker: name, endpoint, node, is_direct: direct.contains(&node) });
            }
            _ => {}
        }
    }
    mesh.leave().await;
    Ok(offers.into_iter().collect())
}

/// What a broker that listens there tells others: each of its addresses ([`super::addresses`]) where it listens on all.
pub fn reachable(endpoints: &[Endpoint], addresses: &[String]) -> Vec<String> {
    let mut told = Vec::new();
    for endpoint in endpoints {
        let text = endpoint.to_string();
        let everywhere = ["tcp://*:", "tcp://0.0.0.0:", "tcp://[::]:"];
        match (everywhere.iter().any(|start| text.starts_with(start)), endpoint.port()) {
            (true, Some(port)) => {
                told.extend(addresses.iter().filter_map(|own| Some(format!("{}:{port}", own.rsplit_once(':')?.0))))
            }
            _ => told.push(text),
        }
    }
    told
}

/// This machine since it was started, and this network namespace; a process that cannot know is alone.
pub fn host() -> String {
    let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    let network = std::fs::read_link("/proc/self/ns/net").unwrap_or_default();
    if boot.is_empty() {
        format!("process {}", std::process::id())
    } else {
        format!("{} {}", boot.trim(), network.display())
    }
}

/// Among those who tell what they serve.
async fn enter(mut settings: Settings) -> Result<(Mesh, Events), Error> {
    settings.groups.extend(announcement::GROUP.parse().ok());
    Mesh::enter(settings).await
}

/// Tells where the best broker is, as long as somebody listens.
async fn follow(mesh: Mesh, mut events: Events, mut brokers: Brokers, tell: watch::Sender<Endpoint>) {
    loop {
        let event = tokio::select! {
            event = events.recv() => event,
            () = tell.closed() => None,
        };
        let Some(event) = event else { return mesh.leave().await };
        brokers.hear(&event);
        // Where nobody is left, the old place is as good as any until somebody comes.
        if let Some(best) = brokers.best() {
            let best = best.endpoint.clone();
            tell.send_if_modified(|now| {
                let has_moved = *now != best;
                *now = best;
                has_moved
            });
        }
    }
}

impl Found {
    /// A broker that stays where it is.
    pub fn fixed(endpoint: Endpoint) -> Self {
        Self { endpoint, moves: None }
    }

    /// The options of a socket that follows it.
    #[must_use]
    pub fn follow(&self, options: Options) -> Options {
        Options { moves: self.moves.clone(), ..options }
    }
}

/// The brokers that are there.
#[derive(Debug)]
struct Brokers {
    wanted: Wanted,
    host: String,
    present: BTreeMap<NodeId, Broker>,
    seen: u64,
}

#[derive(Debug)]
struct Broker {
    endpoint: Endpoint,
    is_here: bool,
    is_direct: bool,
    /// There and back, as far as it is known.
    round_trip: Option<Duration>,
    /// The how manieth it was to be seen.
    number: u64,
    services: BTreeSet<Arc<str>>,
}

impl Brokers {
    fn new(wanted: Wanted) -> Self {
        Self { wanted, host: host(), present: BTreeMap::new(), seen: 0 }
    }

    /// Waits for the first one, as long as it takes; a little longer, where it does not serve what is wanted. One that
    /// has left by then was none. `None` once the mesh was left.
    async fn first(&mut self, events: &mut Events) -> Option<Endpoint> {
        loop {
            while self.best().is_none() {
                let event = events.recv().await?;
                self.hear(&event);
            }
            self.hear_while(events, BETTER_MAX, |brokers, best| !brokers.serves(best)).await?;
            self.hear_while(events, NEARER_MAX, |_, best| !best.is_here).await?;
            if let Some(best) = self.best() {
                return Some(best.endpoint.clone());
            }
        }
    }

    /// Hears more for so long, or until the best one will do.
    async fn hear_while(
        &mut self,
        events: &mut Events,
        time: Duration,
        will_not_do: impl Fn(&Self, &Broker) -> bool,
    ) -> Option<()> {
        let end = Instant::now() + time;
        while self.best().is_none_or(|best| will_not_do(self, best)) {
            match timeout_at(end, events.recv()).await {
                Ok(event) => self.hear(&event?),
                Err(_) => break,
            }
        }
        Some(())
    }

    fn hear(&mut self, event: &Event) {
        match event {
            Event::Enter { node, headers, .. } => {
                let Some(announcement) = Announcement::from_headers(headers) else { return };
                let is_here = headers.get(HOST_HEADER) == Some(&self.host);
                self.seen += 1;
                let services = announcement.services.iter().map(|name| name.as_str().into()).collect();
                let is_wanted = self.wanted.broker.is_empty() || announcement.broker == self.wanted.broker;
                if let Some(endpoint) = usable(&announcement.endpoints, is_here)
                    && is_wanted
                {
                    let (number, is_direct) = (self.seen, announcement.is_direct);
                    let broker = Broker { endpoint, is_here, is_direct, round_trip: None, number, services };
                    self.present.insert(*node, broker);
                }
            }
            Event::Exit { node, .. } => drop(self.present.remove(node)),
            Event::Latency { node, round_trip } => {
                if let Some(broker) = self.present.get_mut(node) {
                    broker.round_trip = Some(*round_trip);
                }
            }
            Event::ServiceUp { node, service, .. } => {
                if let Some(broker) = self.present.get_mut(node) {
                    broker.services.insert(Arc::clone(service));
                }
            }
            Event::ServiceDown { node, service, .. } => {
                if let Some(broker) = self.present.get_mut(node) {
                    broker.services.remove(service);
                }
            }
            _ => {}
        }
    }

    fn best(&self) -> Option<&Broker> {
        let will_do = |broker: &&Broker| !broker.is_direct || self.wanted.service.is_some() && self.serves(broker);
        self.present.values().filter(will_do).max_by_key(|broker| {
            (self.serves(broker), broker.is_here, Reverse(distance(broker.round_trip)), Reverse(broker.number))
        })
    }

    fn serves(&self, broker: &Broker) -> bool {
        self.wanted.service.as_deref().is_none_or(|service| broker.services.contains(service))
    }
}

/// How far away: what differs by less than a factor of two is as far, and so is everything below half a millisecond,
/// where chance has more to say than the network. What is not known yet is farther than what is.
fn distance(round_trip: Option<Duration>) -> u32 {
    round_trip.map_or(u32::MAX, |round_trip| (round_trip.as_micros() / 500).checked_ilog2().map_or(0, |log| log + 1))
}

/// The endpoint to take: on this machine the nearest, from another one that leads there.
fn usable(endpoints: &[String], is_here: bool) -> Option<Endpoint> {
    let endpoints: Vec<Endpoint> = endpoints.iter().filter_map(|text| text.parse().ok()).collect();
    let local = endpoints.iter().find(|endpoint| endpoint.is_local());
    let far = endpoints.iter().find(|endpoint| !endpoint.is_local());
    if is_here { local.or(far).cloned() } else { far.cloned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn enters(number: u8, name: &str, host: &str, endpoints: &[&str], services: &[&str]) -> Event {
        let texts = |texts: &[&str]| texts.iter().map(|&text| text.to_owned()).collect();
        let announcement = Announcement {
            broker: name.into(),
            endpoints: texts(endpoints),
            dialects: Vec::new(),
            services: texts(services),
            is_direct: false,
        };
        let mut headers = announcement.headers();
        headers.insert(HOST_HEADER.into(), host.into());
        let (node, name) = (NodeId([number; 16]), name.into());
        Event::Enter { node, name, endpoint: "tcp://10.0.0.1:1".into(), headers: Arc::new(headers) }
    }

    fn brokers(service: Option<&str>) -> Brokers {
        let wanted = Wanted { service: service.map(str::to_owned), ..Wanted::default() };
        Brokers { host: "here".into(), ..Brokers::new(wanted) }
    }

    fn best(brokers: &Brokers) -> String {
        brokers.best().map(|best| best.endpoint.to_string()).unwrap_or_default()
    }

    #[test]
    fn who_serves_it_comes_first_then_who_is_here_then_who_answered_first() {
        let mut any = brokers(None);
        any.hear(&enters(9, "a", "there", &["tcp://10.0.0.9:1"], &[]));
        any.hear(&enters(1, "a", "there", &["tcp://10.0.0.1:1"], &["echo"]));
        assert_eq!(best(&any), "tcp://10.0.0.9:1");
        any.hear(&enters(5, "a", "here", &["tcp://10.0.0.5:1", "tcp://127.0.0.1:1"], &[]));
        assert_eq!(best(&any), "tcp://127.0.0.1:1");
        any.wanted.service = Some("echo".into());
        assert_eq!(best(&any), "tcp://10.0.0.1:1");
        let (name, endpoint) = ("a".into(), "tcp://10.0.0.9:1".into());
        any.hear(&Event::ServiceUp { node: NodeId([9; 16]), name, endpoint, service: "echo".into() });
        assert_eq!(best(&any), "tcp://10.0.0.9:1");
        any.hear(&Event::Exit { node: NodeId([9; 16]), name: "a".into(), departure: crate::Departure::Expired });
        assert_eq!(best(&any), "tcp://10.0.0.1:1");
    }

    #[tokio::test(start_paused = true)]
    async fn when_the_only_one_leaves_while_a_better_one_is_waited_for_the_next_one_is_taken_however_late_it_comes() {
        for service in [None, Some("MM")] {
            let (tell, inbox) = tokio::sync::mpsc::channel(8);
            let mut events = Events(inbox);
            tell.send(enters(1, "a", "there", &["tcp://10.0.0.1:1"], &[])).await.unwrap();
            let left = Event::Exit { node: NodeId([1; 16]), name: "a".into(), departure: crate::Departure::Left };
            tell.send(left).await.unwrap();
            let later = async {
                tokio::time::sleep(Duration::from_secs(3600)).await;
                tell.send(enters(2, "a", "here", &["tcp://127.0.0.1:2"], &[])).await.unwrap();
                tokio::time::sleep(Duration::from_secs(3600)).await;
            };
            let mut brokers = brokers(service);
            let found = tokio::select! {
                found = brokers.first(&mut events) => found,
                () = later => None,
            };
            assert_eq!(found.map(|endpoint| endpoint.to_string()).as_deref(), Some("tcp://127.0.0.1:2"), "{service:?}");
        }
    }

    #[test]
    fn another_machines_loopback_is_no_place_and_another_name_no_broker() {
        let mut one = brokers(None);
        one.hear(&enters(1, "a", "there", &["tcp://127.0.0.1:1", "ipc:///x"], &[]));
        assert_eq!(best(&one), "");
        one.wanted.broker = "db".into();
        one.hear(&enters(2, "a", "here", &["tcp://127.0.0.1:2"], &[]));
        one.hear(&enters(3, "db", "here", &["tcp://127.0.0.1:3"], &[]));
        assert_eq!(best(&one), "tcp://127.0.0.1:3");
    }

    #[test]
    fn the_nearer_of_two_that_serve_it_is_the_better_one_and_what_is_about_as_near_the_first() {
        let mut any = brokers(None);
        for number in [1, 2, 3] {
            any.hear(&enters(number, "a", "there", &[&format!("tcp://10.0.0.{number}:1")], &[]));
        }
        let mut measured = |number, micros| {
            let round_trip = Duration::from_micros(micros);
            any.hear(&Event::Latency { node: NodeId([number; 16]), round_trip });
            best(&any)
        };
        assert_eq!(measured(3, 30_000), "tcp://10.0.0.3:1", "what is not known is farther");
        assert_eq!(measured(2, 400), "tcp://10.0.0.2:1");
        assert_eq!(measured(1, 450), "tcp://10.0.0.1:1");
        assert_eq!(measured(1, 1100), "tcp://10.0.0.2:1");
        any.hear(&enters(4, "a", "here", &["tcp://127.0.0.1:1"], &[]));
        assert_eq!(best(&any), "tcp://127.0.0.1:1", "this machine first");
    }

    #[test]
    fn a_worker_that_is_called_directly_is_found_for_its_service_and_for_nothing_else() {
        let Event::Enter { node, name, endpoint, headers } =
            enters(1, "echo", "here", &["tcp://127.0.0.1:1"], &["echo"])
        else {
            unreachable!("it enters")
        };
        let direct = Announcement { is_direct: true, ..Announcement::from_headers(&headers).unwrap() };
        let mut headers = direct.headers();
        headers.insert(HOST_HEADER.into(), "here".into());
        let enters_directly = Event::Enter { node, name, endpoint, headers: Arc::new(headers) };
        for (wanted, found) in [(None, ""), (Some("MM"), ""), (Some("echo"), "tcp://127.0.0.1:1")] {
            let mut brokers = brokers(wanted);
            brokers.hear(&enters_directly);
            assert_eq!(best(&brokers), found, "{wanted:?}");
        }
        let mut both = brokers(Some("MM"));
        both.hear(&enters_directly);
        both.hear(&enters(2, "a", "there", &["tcp://10.0.0.2:1"], &[]));
        assert_eq!(best(&both), "tcp://10.0.0.2:1", "a broker may get a worker for it");
    }

    #[test]
    fn who_listens_everywhere_tells_each_of_its_addresses() {
        let endpoints = ["tcp://*:5555", "tcp://127.0.0.1:5556"].map(|text| text.parse().unwrap());
        let own = ["tcp://10.0.0.1:49152".to_owned(), "tcp://[fe80::1%2]:49152".to_owned()];
        assert_eq!(
            reachable(&endpoints, &own),
            ["tcp://10.0.0.1:5555", "tcp://[fe80::1%2]:5555", "tcp://127.0.0.1:5556"]
        );
    }
}
