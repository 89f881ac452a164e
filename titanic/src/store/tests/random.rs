//! Random histories with crashes, against what was promised: an id that was acknowledged is there until it is closed,
//! an answer that was shown stays what it was, and in the end everything is answered.

use std::collections::{BTreeMap, BTreeSet};

use super::*;

/// What the clients know.
#[derive(Default)]
struct Promised {
    /// Acknowledged, and nobody has asked to close it: with its body.
    kept: BTreeMap<Id, String>,
    /// Answers that were shown.
    shown: BTreeMap<Id, Vec<String>>,
    /// Closing was acknowledged.
    closed: BTreeSet<Id>,
    /// Asked and not told yet.
    submits: BTreeMap<Ticket, String>,
    replies: BTreeMap<Ticket, Id>,
    closes: BTreeMap<Ticket, Id>,
}

impl Promised {
    fn hear(&mut self, rig: &mut Rig) {
        for (ticket, frames) in std::mem::take(&mut rig.told) {
            let told = texts(&frames);
            if let Some(body) = self.submits.remove(&ticket) {
                assert_eq!(told[0], "200");
                let id = read_id(told[1].as_bytes()).unwrap();
                if !self.closed.contains(&id) && !self.closes.values().any(|closing| *closing == id) {
                    self.kept.insert(id, body);
                }
            } else if let Some(id) = self.replies.remove(&ticket) {
                self.hear_reply(id, &told);
            } else if let Some(id) = self.closes.remove(&ticket) {
                assert_eq!(told, ["200"]);
                self.closed.insert(id);
            }
        }
    }

    fn hear_reply(&mut self, id: Id, told: &[String]) {
        if told[0] == "200" {
            let before = self.shown.entry(id).or_insert_with(|| told.to_vec());
            assert_eq!(before, told, "another answer than before");
            assert!(!self.closed.contains(&id), "{id} is closed");
        } else if self.kept.contains_key(&id) {
            assert!(told[0].starts_with("300") && !self.shown.contains_key(&id), "{id} was acknowledged: {told:?}");
        }
    }

    fn some_id(&self, random: &mut fastrand::Rng) -> Option<Id> {
        let ids: Vec<Id> = self.kept.keys().chain(&self.closed).copied().collect();
        random.choice(ids)
    }
}

fn history(seed: u64) {
    let mut random = fastrand::Rng::with_seed(seed);
    let mut rig = Rig::of(Config { attempts_max: u32::MAX, ..Config::default() });
    let mut promised = Promised::default();
    for _ in 0..300 {
        match random.u8(0..100) {
            0..25 => submit(&mut rig, &mut promised, &mut random),
            25..40 => {
                if let Some(id) = promised.some_id(&mut random) {
                    let ticket = rig.ask(Verb::Reply, [&id.to_string(), ["0", "5000"][random.usize(0..2)]]);
                    promised.replies.insert(ticket, id);
                }
            }
            40..47 => {
                if let Some(id) = promised.some_id(&mut random) {
                    promised.kept.remove(&id);
                    let ticket = rig.ask(Verb::Close, [&id.to_string()]);
                    promised.closes.insert(ticket, id);
                }
            }
            47..65 => rig.flush(),
            65..85 => end_one(&mut rig, &mut random),
            85..90 => rig.pass(Duration::from_millis(random.u64(1..3000))),
            90..96 => {
                for service in std::mem::take(&mut rig.looks) {
                    let served = [Some(true), Some(false), None][random.usize(0..3)];
                    rig.handle(Input::Looked(service.parse().unwrap(), served));
                }
            }
            _ => {
                promised.hear(&mut rig);
                rig = rig.crashed();
                (promised.submits, promised.replies, promised.closes) = Default::default();
            }
        }
        promised.hear(&mut rig);
    }
    drain(&mut rig, &mut promised);
}

fn submit(rig: &mut Rig, promised: &mut Promised, random: &mut fastrand::Rng) {
    let number = random.u8(1..20);
    let body = format!("body {number}");
    let chosen = random.bool().then_some(id(number));
    let service = ["a", "b", "c"][usize::from(number % 3)];
    let ticket = rig.ask_as(Verb::Request, chosen, [service.to_owned(), body.clone()].into());
    promised.submits.insert(ticket, body);
}

fn end_one(rig: &mut Rig, random: &mut fastrand::Rng) {
    if rig.calls.is_empty() {
        return;
    }
    let Asked { call, body, .. } = rig.calls.remove(random.usize(0..rig.calls.len()));
    // Each execution answers something else: were two of them shown, it would be seen.
    let answer = Frames::from([format!("{} {}", texts(&body)[0], random.u32(..))]);
    let outcome = match random.u8(0..10) {
        0..6 => Outcome::Answered(answer),
        6 => silent(),
        7 => failed(404),
        8 => failed(500),
        _ => failed(408),
    };
    rig.handle(Input::Ended(call, outcome));
}

/// The faults stop: whatever was acknowledged is answered.
fn drain(rig: &mut Rig, promised: &mut Promised) {
    for _ in 0..200 {
        rig.flush();
        rig.serve();
        while !rig.calls.is_empty() {
            let Asked { call, body, .. } = rig.calls.remove(0);
            rig.handle(Input::Ended(call, Outcome::Answered(body)));
        }
        rig.pass(Duration::from_secs(10));
        promised.hear(rig);
    }
    for (id, body) in promised.kept.clone() {
        let told = rig.reply(id);
        promised.hear_reply(id, &told);
        assert!(told[0] == "200" && told[1].starts_with(&body), "{id} of {body}: {told:?}");
    }
    for id in promised.closed.clone() {
        assert!(rig.reply(id)[0].starts_with("400"), "{id} was closed");
    }
}

#[test]
fn what_was_promised_holds_in_random_histories_with_crashes() {
    for seed in 0..300 {
        let outcome = std::panic::catch_unwind(|| history(seed));
        assert!(outcome.is_ok(), "seed {seed}");
    }
}
