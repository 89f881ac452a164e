//! Who is called next: a lane for each service, and what is known of its door.
//!
//! ```text
//!             offer            somebody serves it, or nobody knows
//!   Unknown ─────────► Asking ─────────────────────────────────────► Open: calls up to the limit
//!                       ▲   │                                          │  ▲
//!                       │   │ nobody serves it      nobody took a call │  │ served
//!                       └───┼──────────────────────────────────────────┘  │
//!                           ▼                                             │
//!                         Shut: one call knocks ──────────────────────────┘
//!                           ▲   │ turned away at once
//!                           │   ▼
//!                         Resting: a delay that grows
//! ```
//!
//! A call that knocks waits in the broker's queue, and the first worker that comes is given it at once: so nobody has
//! to ask every second whether there is one. Only where a broker refuses what nobody serves is there a delay.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use protocol::{Instant, ServiceName};

use super::config::Config;
use crate::log::Id;

/// How a call went, as far as its lane is concerned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// A worker had it.
    Served,
    /// No worker had it, or nobody knows whether one had. `late`: it waited for its whole time.
    Unserved {
        /// Whether it waited for its whole time.
        late: bool,
    },
    /// It was taken back.
    Withdrawn,
}

/// What follows for whoever watches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Turn {
    Up,
    Down,
}

/// The next call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Next {
    pub(super) service: ServiceName,
    pub(super) id: Id,
    /// It stands at a closed door.
    pub(super) knocks: bool,
}

#[derive(Debug)]
pub(super) struct Lanes {
    lanes: BTreeMap<ServiceName, Lane>,
    /// Lanes that may have a call, in turns; each once.
    ready: VecDeque<ServiceName>,
    /// Lanes whose door rests.
    resting: BTreeSet<(Instant, ServiceName)>,
    /// Doors to ask about.
    looks: VecDeque<ServiceName>,
    /// Lanes with open requests.
    busy: usize,
    calls: usize,
    knocks: usize,
    config: Config,
}

#[derive(Debug)]
struct Lane {
    /// In memory of its own, whatever message it was cut out of; all else clones it.
    name: ServiceName,
    door: Door,
    waiting: VecDeque<Id>,
    /// Requests that have not ended, wherever they are.
    open: usize,
    calls: usize,
    is_ready: bool,
    /// Times in a row that a knock was turned away.
    refusals: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Door {
    Unknown,
    Asking,
    Open,
    Shut { knocking: bool },
    Resting,
}

impl Lanes {
    pub(super) fn new(config: Config) -> Self {
        Self {
            lanes: BTreeMap::new(),
            ready: VecDeque::new(),
            resting: BTreeSet::new(),
            looks: VecDeque::new(),
            busy: 0,
            calls: 0,
            knocks: 0,
            config,
        }
    }

    /// Whether one more request of this service can be kept.
    pub(super) fn takes(&self, service: &ServiceName) -> bool {
        self.busy < self.config.services_max || self.lanes.get(service).is_some_and(|lane| lane.open > 0)
    }

    /// A request of this service has begun. Returns the name for keeping, which all requests of a lane share.
    pub(super) fn enter(&mut self, service: &ServiceName) -> ServiceName {
        if let Some(lane) = self.lanes.get_mut(service) {
            self.busy += usize::from(lane.open == 0);
            lane.open += 1;
            return lane.name.clone();
        }
        if self.lanes.len() >= self.config.services_max.saturating_mul(2) {
            // Doors that are known keep a next request from having to ask; only so many.
            self.lanes.retain(|_, lane| !lane.is_idle());
        }
        let name = service.detached();
        self.lanes.insert(name.clone(), Lane { open: 1, ..Lane::new(name.clone()) });
        self.busy += 1;
        name
    }

    /// A request of this service has ended, well or not.
    pub(super) fn leave(&mut self, service: &ServiceName) {
        let Some(lane) = self.lanes.get_mut(service) else { return };
        self.busy -= usize::from(lane.open == 1);
        lane.open = lane.open.saturating_sub(1);
    }

    /// A request that has entered may be called.
    pub(super) fn offer(&mut self, service: &ServiceName, id: Id) {
        let Some(lane) = self.lanes.get_mut(service) else { return };
        lane.waiting.push_back(id);
        if lane.door == Door::Unknown {
            lane.door = Door::Asking;
            self.looks.push_back(lane.name.clone());
        }
        if lane.becomes_ready(&self.config) {
            self.ready.push_back(lane.name.clone());
        }
    }

    /// A door to ask about.
    pub(super) fn look(&mut self) -> Option<ServiceName> {
        self.looks.pop_front()
    }

    /// Whether the broker says that somebody serves this; `None` when it does not say.
    pub(super) fn on_looked(&mut self, service: &ServiceName, served: Option<bool>) -> Option<Turn> {
        let lane = self.lanes.get_mut(service).filter(|lane| lane.door == Door::Asking)?;
        lane.door = if served == Some(false) { Door::Shut { knocking: false } } else { Door::Open };
        self.make_ready(service);
        (served == Some(false)).then_some(Turn::Down)
    }

    /// Whether the broker is being asked about it.
    pub(super) fn is_asking(&self, service: &ServiceName) -> bool {
        self.lanes.get(service).is_some_and(|lane| lane.door == Door::Asking)
    }

    /// The next call, if there may be one. It counts until [`on_end`](Self::on_end).
    pub(super) fn next(&mut self) -> Option<Next> {
        for _ in 0..self.ready.len() {
            let service = self.ready.pop_front()?;
            let (calls, knocks, config) = (self.calls, self.knocks, &self.config);
            let Some(lane) = self.lanes.get_mut(&service) else { continue };
            lane.is_ready = false;
            let Some(knocks_too) = lane.may_call(config) else { continue };
            let has_room = if knocks_too { knocks < config.knocks_max } else { calls < config.calls_max };
            let id = if has_room { lane.waiting.pop_front() } else { None };
            if let Some(id) = id {
                lane.calls += 1;
                if knocks_too {
                    lane.door = Door::Shut { knocking: true };
                    self.knocks += 1;
                } else {
                    self.calls += 1;
                }
                self.make_ready(&service);
                return Some(Next { service, id, knocks: knocks_too });
            }
            self.make_ready(&service);
        }
        None
    }

    /// A call has ended.
    pub(super) fn on_end(
        &mut self,
        now: Instant,
        service: &ServiceName,
        knocks: bool,
        verdict: Verdict,
    ) -> Option<Turn> {
        let count = if knocks { &mut self.knocks } else { &mut self.calls };
        *count = count.saturating_sub(1);
        let lane = self.lanes.get_mut(service)?;
        lane.calls = lane.calls.saturating_sub(1);
        let turn = match (lane.door, verdict) {
            (Door::Shut { knocking: true }, _) if !knocks => None,
            (Door::Shut { knocking: true }, Verdict::Served) => {
                (lane.door, lane.refusals) = (Door::Open, 0);
                Some(Turn::Up)
            }
            (Door::Shut { knocking: true }, Verdict::Unserved { late: false }) => {
                lane.refusals = lane.refusals.saturating_add(1);
                lane.door = Door::Resting;
                self.resting.insert((now + self.config.backoff(lane.refusals), lane.name.clone()));
                None
            }
            (Door::Shut { knocking: true }, _) => {
                lane.door = Door::Shut { knocking: false };
                None
            }
            (Door::Open, Verdict::Unserved { .. }) => {
                lane.door = Door::Asking;
                self.looks.push_back(lane.name.clone());
                None
            }
            _ => None,
        };
        self.make_ready(service);
        turn
    }

    /// Rests that are over.
    pub(super) fn tick(&mut self, now: Instant) {
        while self.resting.first().is_some_and(|(until, _)| *until <= now) {
            let Some((_, service)) = self.resting.pop_first() else { return };
            if let Some(lane) = self.lanes.get_mut(&service).filter(|lane| lane.door == Door::Resting) {
                lane.door = Door::Shut { knocking: false };
                self.make_ready(&service);
            }
        }
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        self.resting.first().map(|(until, _)| *until)
    }

    /// Lets go of requests that have ended in a line that is mostly such.
    pub(super) fn sweep(&mut self, service: &ServiceName, mut is_alive: impl FnMut(&Id) -> bool) {
        if let Some(lane) = self.lanes.get_mut(service)
            && lane.waiting.len() > lane.open * 2 + WAITING_SLACK
        {
            lane.waiting.retain(|id| is_alive(id));
        }
    }

    fn make_ready(&mut self, service: &ServiceName) {
        if let Some(lane) = self.lanes.get_mut(service)
            && lane.becomes_ready(&self.config)
        {
            self.ready.push_back(lane.name.clone());
        }
    }

    /// How many requests wait in line.
    #[cfg(test)]
    pub(super) fn waiting(&self, service: &ServiceName) -> usize {
        self.lanes.get(service).map_or(0, |lane| lane.waiting.len())
    }
}

impl Lane {
    fn new(name: ServiceName) -> Self {
        Self { name, door: Door::Unknown, waiting: VecDeque::new(), open: 0, calls: 0, is_ready: false, refusals: 0 }
    }

    fn is_idle(&self) -> bool {
        let settled = matches!(self.door, Door::Unknown | Door::Open | Door::Shut { knocking: false });
        self.open == 0 && self.calls == 0 && settled && !self.is_ready
    }

    /// Whether it may have a call, and was not known to.
    fn becomes_ready(&mut self, config: &Config) -> bool {
        let becomes_ready = !self.is_ready && self.may_call(config).is_some();
        self.is_ready |= becomes_ready;
        becomes_ready
    }

    /// Whether it may have a call; `Some(true)` for one that knocks.
    fn may_call(&self, config: &Config) -> Option<bool> {
        if self.waiting.is_empty() {
            return None;
        }
        match self.door {
            Door::Open => (self.calls < config.calls_per_service_max).then_some(false),
            Door::Shut { knocking: false } => Some(true),
            Door::Unknown | Door::Asking | Door::Shut { knocking: true } | Door::Resting => None,
        }
    }
}

/// Requests in a line that may have ended before it is looked through.
const WAITING_SLACK: usize = 64;

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn lanes(config: Config) -> Lanes {
        Lanes::new(config)
    }

    fn name(text: &str) -> ServiceName {
        text.parse().unwrap()
    }

    fn offer(lanes: &mut Lanes, service: &str, number: u8) {
        lanes.enter(&name(service));
        lanes.offer(&name(service), Id([number; 16]));
    }

    fn calls(lanes: &mut Lanes) -> Vec<(String, u8, bool)> {
        std::iter::from_fn(|| lanes.next()).map(|next| (next.service.to_string(), next.id.0[0], next.knocks)).collect()
    }

    fn opened(services: &[&str], config: Config) -> Lanes {
        let mut lanes = lanes(config);
        for service in services {
            lanes.enter(&name(service));
            lanes.offer(&name(service), Id([0; 16]));
            assert_eq!(lanes.look(), Some(name(service)));
            lanes.on_looked(&name(service), Some(true));
            lanes.next().unwrap();
            lanes.on_end(Instant::ZERO, &name(service), false, Verdict::Served);
            lanes.leave(&name(service));
        }
        lanes
    }

    #[test]
    fn a_new_service_is_asked_for_once_and_then_called_up_to_its_limit() {
        let mut lanes = lanes(Config { calls_per_service_max: 2, ..Config::default() });
        (1..=3).for_each(|number| offer(&mut lanes, "echo", number));
        assert_eq!((lanes.look(), lanes.look()), (Some(name("echo")), None));
        assert_eq!(calls(&mut lanes), []);
        assert_eq!(lanes.on_looked(&name("echo"), Some(true)), None);
        assert_eq!(calls(&mut lanes), [("echo".to_owned(), 1, false), ("echo".to_owned(), 2, false)]);
        lanes.on_end(Instant::ZERO, &name("echo"), false, Verdict::Served);
        assert_eq!(calls(&mut lanes), [("echo".to_owned(), 3, false)]);
    }

    #[test]
    fn at_a_closed_door_one_call_knocks_and_the_others_follow_when_it_is_served() {
        let mut lanes = lanes(Config::default());
        (1..=3).for_each(|number| offer(&mut lanes, "echo", number));
        assert_eq!(lanes.on_looked(&name("echo"), Some(false)), Some(Turn::Down));
        assert_eq!(calls(&mut lanes), [("echo".to_owned(), 1, true)]);
        assert_eq!(lanes.on_end(Instant::ZERO, &name("echo"), true, Verdict::Served), Some(Turn::Up));
        assert_eq!(calls(&mut lanes).len(), 2);
    }

    #[test]
    fn a_knock_that_waited_is_followed_by_the_next_and_one_turned_away_by_a_growing_rest() {
        let mut lanes = lanes(Config::default());
        (1..=9).for_each(|number| offer(&mut lanes, "echo", number));
        lanes.on_looked(&name("echo"), Some(false));
        assert_eq!(calls(&mut lanes).len(), 1);
        lanes.on_end(Instant::ZERO, &name("echo"), true, Verdict::Unserved { late: true });
        assert_eq!((calls(&mut lanes).len(), lanes.deadline()), (1, None));
        let mut now = Instant::ZERO;
        for rest in [250, 500, 1000] {
            lanes.on_end(now, &name("echo"), true, Verdict::Unserved { late: false });
            assert_eq!(lanes.deadline(), Some(now + Duration::from_millis(rest)));
            assert_eq!(calls(&mut lanes), []);
            now = lanes.deadline().unwrap();
            lanes.tick(now);
            assert_eq!(calls(&mut lanes).len(), 1);
        }
    }

    #[test]
    fn a_call_that_nobody_took_has_the_door_asked_about_and_no_other_follows_meanwhile() {
        let mut lanes = opened(&["echo"], Config::default());
        offer(&mut lanes, "echo", 1);
        offer(&mut lanes, "echo", 2);
        assert_eq!(calls(&mut lanes).len(), 2);
        lanes.on_end(Instant::ZERO, &name("echo"), false, Verdict::Unserved { late: true });
        lanes.on_end(Instant::ZERO, &name("echo"), false, Verdict::Unserved { late: true });
        offer(&mut lanes, "echo", 3);
        assert_eq!((lanes.look(), lanes.look()), (Some(name("echo")), None));
        assert_eq!(calls(&mut lanes), []);
        lanes.on_looked(&name("echo"), None);
        assert_eq!(calls(&mut lanes), [("echo".to_owned(), 3, false)]);
    }

    #[test]
    fn services_take_turns_and_calls_max_is_met_over_all() {
        let mut lanes = opened(&["a", "b"], Config { calls_max: 3, ..Config::default() });
        (1..=4).for_each(|number| offer(&mut lanes, "a", number));
        (5..=6).for_each(|number| offer(&mut lanes, "b", number));
        let order: Vec<u8> = calls(&mut lanes).iter().map(|(_, number, _)| *number).collect();
        assert_eq!(order, [1, 5, 2]);
        lanes.on_end(Instant::ZERO, &name("a"), false, Verdict::Withdrawn);
        assert_eq!(calls(&mut lanes).len(), 1);
    }

    #[test]
    fn knocks_max_is_met_and_leaves_room_for_services_that_are_there() {
        let mut lanes = opened(&["there"], Config { knocks_max: 2, ..Config::default() });
        for service in ["a", "b", "c"] {
            offer(&mut lanes, service, 1);
            lanes.on_looked(&name(service), Some(false));
        }
        offer(&mut lanes, "there", 2);
        assert_eq!(calls(&mut lanes).iter().filter(|(_, _, knocks)| *knocks).count(), 2);
        offer(&mut lanes, "there", 3);
        assert_eq!(calls(&mut lanes), [("there".to_owned(), 3, false)]);
        lanes.on_end(Instant::ZERO, &name("a"), true, Verdict::Unserved { late: true });
        assert_eq!(calls(&mut lanes), [("c".to_owned(), 1, true)]);
    }

    #[test]
    fn services_max_is_met_and_a_service_without_open_requests_gives_way() {
        let mut lanes = lanes(Config { services_max: 2, ..Config::default() });
        lanes.enter(&name("a"));
        lanes.enter(&name("b"));
        assert!(lanes.takes(&name("a")) && !lanes.takes(&name("c")));
        lanes.leave(&name("a"));
        assert!(lanes.takes(&name("c")));
        for number in 0..100 {
            lanes.enter(&name(&format!("service {number}")));
            lanes.leave(&name(&format!("service {number}")));
        }
        assert!(lanes.lanes.len() <= 4);
    }

    #[test]
    fn a_line_of_requests_that_have_ended_is_swept() {
        let mut lanes = lanes(Config::default());
        for number in 0..200 {
            offer(&mut lanes, "echo", number);
            if number != 7 {
                lanes.leave(&name("echo"));
            }
            lanes.sweep(&name("echo"), |id| id.0[0] == 7);
        }
        assert!(lanes.waiting(&name("echo")) < 100);
    }
}
