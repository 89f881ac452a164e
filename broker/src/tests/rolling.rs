//! A rolling restart of workers and broker under load, as machines: each request ends once, with its own answer.

use std::collections::{BTreeMap, VecDeque};

use protocol::mdp::v03::{JobNumber, Outcome, Status, ToClient, ToWorker};

use super::*;

/// Two brokers, and their workers of 0.3 with what they hold. The second broker is where the first one sends its peers.
struct House {
    brokers: [Bench; 2],
    workers: BTreeMap<(usize, u64), VecDeque<(JobNumber, String)>>,
    /// Answers of the requests that have ended, by their ids.
    answers: BTreeMap<u8, String>,
    turned_away: u32,
}

const CLIENT: u64 = 9;

impl House {
    fn start() -> Self {
        let first = Config { elsewhere: vec!["tcp://second:1".to_owned()], ..Config::default() };
        let mut house = Self {
            brokers: [Bench::new(first), Bench::new(Config::default())],
            workers: BTreeMap::new(),
            answers: BTreeMap::new(),
            turned_away: 0,
        };
        (1..=3).for_each(|worker| house.add_worker(0, worker));
        house
    }

    fn add_worker(&mut self, broker: usize, worker: u64) {
        self.brokers[broker].native_worker(worker, 4, &["echo"]);
        self.workers.insert((broker, worker), VecDeque::new());
    }

    fn ask(&mut self, broker: usize, number: u8) {
        self.brokers[broker].native_request(CLIENT, number, "echo", &format!("body {number}"));
    }

    /// Everybody reads what was sent; each worker answers one request, and who was sent away goes where it was sent.
    fn step(&mut self) {
        for broker in 0..self.brokers.len() {
            self.brokers[broker].pass(Duration::from_millis(10));
            let here: Vec<_> = self.workers.keys().copied().filter(|(at, _)| *at == broker).collect();
            for (_, worker) in here {
                self.step_worker(broker, worker);
            }
            for told in self.brokers[broker].native_replies(CLIENT) {
                self.on_told(told);
            }
        }
    }

    fn step_worker(&mut self, broker: usize, worker: u64) {
        for command in self.brokers[broker].native_commands(worker) {
            match command {
                ToWorker::Request(request) => {
                    let held = self.workers.get_mut(&(broker, worker)).expect("nobody is asked after DISCONNECT");
                    held.push_back((request.job, text(&request.body)));
                }
                ToWorker::Disconnect(farewell) => {
                    let held = self.workers.remove(&(broker, worker)).unwrap();
                    assert!(held.is_empty(), "sent away with {held:?}");
                    let goes_on = farewell.status == Status::DRAINING && farewell.options.endpoints().next().is_some();
                    let successor = if goes_on { (1, worker) } else { (broker, worker + 10) };
                    self.add_worker(successor.0, successor.1);
                    return;
                }
                ToWorker::Drain(_) => {}
                other => panic!("{other:?}"),
            }
        }
        if let Some((job, body)) = self.workers.get_mut(&(broker, worker)).and_then(VecDeque::pop_front) {
            self.brokers[broker].native_final(worker, job, 0, &body);
        }
    }

    fn on_told(&mut self, told: ToClient) {
        match told {
            ToClient::Final { id, outcome: Outcome { status: Status::OK, .. }, body } => {
                assert_eq!(self.answers.insert(id.0[0], text(&body)), None, "answered twice");
            }
            ToClient::Final { id, outcome, .. } => {
                assert_eq!((outcome.status, outcome.options.endpoints().count()), (Status::DRAINING, 1));
                self.turned_away += 1;
                self.ask(1, id.0[0]);
            }
            ToClient::Drain(_) => {}
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn a_rolling_restart_of_workers_and_broker_loses_nothing() {
    let mut house = House::start();
    for number in 1..=240 {
        house.ask(0, number);
        match number {
            60 | 80 | 100 => {
                let worker = u64::from(number) / 20 - 2;
                let answer = house.brokers[0].operate("mmi.drain", &["worker", &worker.to_string()]);
                assert_eq!(answer, "200");
            }
            150 => house.brokers[0].input(Input::Drain { grace: seconds(30) }),
            _ => {}
        }
        // Requests come faster than they are answered, so that there is always something to lose.
        if number % 4 == 0 {
            house.step();
        }
    }
    for _ in 0..200 {
        house.step();
    }
    let expected: BTreeMap<_, _> = (1..=240).map(|number| (number, format!("body {number}"))).collect();
    assert_eq!(house.answers, expected);
    assert!(house.brokers[0].finished, "the first broker has ended");
    assert!(house.turned_away >= 90, "{} were turned away", house.turned_away);
    let here: Vec<_> = house.workers.keys().copied().collect();
    assert_eq!(here, [(1, 11), (1, 12), (1, 13)], "all workers were replaced and have moved");
    assert_eq!(house.brokers[0].broker.counters().requeued, 0, "nobody did anything twice");
}
