//! Random histories beside a model that is a plain map: the log always says the same, and says it again when it is
//! opened after a kill, whatever was cleared away, copied, grown and shrunk meanwhile.

use std::collections::BTreeMap;

use titanic::log::{Id, Kind, Log, Memory, Refused, State};

use crate::common::{new, reopened};

/// What a plain map knows of an id.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Model {
    state: State,
    request: Option<Vec<u8>>,
    latest: Option<Vec<u8>>,
}

type Models = BTreeMap<[u8; 16], Model>;

struct World {
    log: Log<Memory>,
    models: Models,
    rng: fastrand::Rng,
    chunks: u32,
    refused: u32,
}

impl World {
    fn payload(&mut self) -> Vec<u8> {
        let length = if self.rng.u8(..) < 5 { self.rng.usize(..6000) } else { self.rng.usize(..300) };
        let fill = self.rng.u8(..);
        std::iter::repeat_with(|| fill).take(length).collect()
    }

    fn some_id(&mut self) -> Id {
        let known: Vec<_> = self.models.keys().copied().collect();
        if known.is_empty() || self.rng.u8(..) < 90 {
            let mut id = [0; 16];
            self.rng.fill(&mut id);
            return Id(id);
        }
        Id(known[self.rng.usize(..known.len())])
    }

    /// One operation, on both.
    fn step(&mut self) {
        let id = self.some_id();
        let known = self.models.get(&id.0).map(|model| model.state);
        let kind = match known {
            None | Some(State::Closed) => Kind::Request,
            Some(State::Answered) => Kind::Closed,
            Some(_) => self.rng.choice([Kind::Attempt, Kind::Dead, Kind::Answer, Kind::Answer, Kind::Closed]).unwrap(),
        };
        let payload = if kind == Kind::Closed && self.rng.bool() { Vec::new() } else { self.payload() };
        match self.log.append(kind, id, &payload) {
            Ok(_) => self.models_take(kind, id, payload),
            Err(Refused::Full) => self.refused += 1,
            Err(other) => panic!("{other}"),
        }
        match self.rng.u8(..) {
            0..60 => self.log.flush().unwrap(),
            60..70 if self.models.get(&id.0).is_some_and(|model| model.state == State::Closed) => {
                self.log.forget(&id);
                self.models.remove(&id.0);
            }
            70..73 => self.reopen(),
            _ => {}
        }
    }

    fn models_take(&mut self, kind: Kind, id: Id, payload: Vec<u8>) {
        if kind == Kind::Closed && payload.is_empty() {
            self.models.remove(&id.0);
            return;
        }
        let fresh = Model { state: State::Open, request: None, latest: None };
        let model = self.models.entry(id.0).or_insert(fresh.clone());
        match kind {
            Kind::Request => *model = Model { request: Some(payload), ..fresh },
            Kind::Attempt => (model.state, model.latest) = (State::Attempted, Some(payload)),
            Kind::Dead => (model.state, model.latest) = (State::Dead, Some(payload)),
            Kind::Answer => *model = Model { state: State::Answered, request: None, latest: Some(payload) },
            Kind::Closed => *model = Model { state: State::Closed, request: None, latest: Some(payload) },
            Kind::Commit => unreachable!("nobody appends it"),
        }
    }

    /// As after a kill: what was flushed is in the region, and nothing else.
    fn reopen(&mut self) {
        self.log.flush().unwrap();
        let (log, report) = reopened(self.log.region().clone(), self.chunks);
        assert!(!report.is_damaged(), "{report:?}");
        self.log = log;
        // A closed id that was forgotten may come back, and is forgotten again.
        for (id, entry) in self.log.entries() {
            if entry.state() == State::Closed && !self.models.contains_key(&id.0) {
                self.log.forget(&id);
            }
        }
        self.compare();
    }

    fn compare(&self) {
        let read = |id: &Id, location| self.log.read(id, location).unwrap().to_vec();
        let found: Models = self
            .log
            .entries()
            .iter()
            .map(|(id, entry)| {
                let request = entry.request().map(|location| read(id, location));
                let latest = entry.latest().map(|location| read(id, location));
                (id.0, Model { state: entry.state(), request, latest })
            })
            .collect();
        for (id, model) in &self.models {
            let found = found.get(id);
            assert!(found == Some(model), "{}: {:?} instead of {:?}", Id(*id), found.map(short), short(model));
        }
        let strangers: Vec<_> = found.iter().filter(|(id, _)| !self.models.contains_key(*id)).collect();
        assert!(strangers.is_empty(), "{:?}", strangers.iter().map(|(_, model)| short(model)).collect::<Vec<_>>());
    }
}

/// The state, and the lengths of the payloads.
fn short(model: &Model) -> (State, Option<usize>, Option<usize>) {
    (model.state, model.request.as_ref().map(Vec::len), model.latest.as_ref().map(Vec::len))
}

#[test]
fn random_histories_are_those_of_a_plain_map() {
    for seed in 0..20 {
        let mut rng = fastrand::Rng::with_seed(seed);
        let chunks = rng.u32(8..64);
        let mut world = World { log: new(chunks), models: Models::new(), rng, chunks, refused: 0 };
        for _ in 0..600 {
            world.step();
        }
        world.compare();
        world.reopen();
        let (live, capacity) = (world.log.usage().live_bytes, world.log.usage().capacity_bytes);
        assert!(live <= capacity && world.refused < 500, "seed {seed}: {} refused", world.refused);
    }
}
