//! A member: what it is told, passes on, answers and remembers.

use protocol::zmqnet::{Kind, Message, Request, join};
use protocol::{Frames, Instant, Machine, PeerId};

use super::super::courier;
use super::super::node::{Config, Event, Input, Node, Output};
use super::{ack, millis, single};

/// Bravo, with alpha and charlie as the others.
struct Bench {
    node: Node,
    now: Instant,
    outputs: Vec<Output>,
}

const ALPHA: usize = 0;
const CHARLIE: usize = 1;

fn bench() -> Bench {
    with(|_| {})
}

fn with(change: impl FnOnce(&mut Config)) -> Bench {
    let mut config = Config::new("bravo".into(), vec!["alpha".into(), "charlie".into()], 5);
    change(&mut config);
    let others = config.others.len();
    let mut bench = Bench { node: Node::new(config), now: Instant::from_millis(1000), outputs: Vec::new() };
    (0..others).for_each(|member| bench.link(member, true));
    bench.outputs.clear();
    bench
}

impl Bench {
    fn handle(&mut self, input: Input) {
        self.node.handle(self.now, input);
        self.outputs.extend(std::iter::from_fn(|| self.node.poll()));
    }

    fn link(&mut self, member: usize, up: bool) {
        self.handle(Input::Courier(courier::Input::Linked { member, up }));
    }

    fn ask(&mut self, peer: u64, message: &Message) {
        self.handle(Input::Request { peer: PeerId(peer), frames: join(Frames::from([""]), message) });
    }

    fn wait(&mut self, count: u64) {
        let end = self.now + millis(count);
        while let Some(due) = self.node.deadline().filter(|due| *due <= end) {
            self.now = self.now.max(due);
            self.node.tick(self.now);
            self.outputs.extend(std::iter::from_fn(|| self.node.poll()));
        }
        self.now = end;
    }

    /// What was sent to a member since the last look: the envelope and the message.
    fn sent(&mut self, to: usize) -> Vec<(Frames, Message)> {
        let mut sent = Vec::new();
        self.outputs.retain(|output| match output {
            Output::Send { member, frames } if *member == to => {
                let Request { envelope, message } = Request::split(frames.clone()).unwrap();
                sent.push((envelope, message.unwrap()));
                false
            }
            _ => true,
        });
        sent
    }

    /// The member acknowledges all that was sent to it.
    fn acknowledge(&mut self, member: usize) {
        for (envelope, _) in self.sent(member) {
            let frames = join(envelope, &ack());
            self.handle(Input::Courier(courier::Input::Heard { member, frames }));
        }
    }

    /// Answers since the last look, and to whom.
    fn answers(&mut self) -> Vec<(u64, Message)> {
        let mut answers = Vec::new();
        self.outputs.retain(|output| match output {
            Output::Answer { peer, frames } => {
                answers.push((peer.0, Request::split(frames.clone()).unwrap().message.unwrap()));
                false
            }
            _ => true,
        });
        answers
    }

    fn events(&mut self) -> Vec<Event> {
        let mut events = Vec::new();
        self.outputs.retain(|output| match output {
            Output::Event(event) => {
                events.push(event.clone());
                false
            }
            _ => true,
        });
        events
    }
}

fn message(via: &str, text: &str) -> Event {
    Event::Message { via: via.into(), text: text.into() }
}

#[test]
fn a_clients_message_goes_to_all_and_is_answered_once_all_have_it() {
    let mut bench = bench();
    bench.ask(9, &single("hi", 7));
    assert_eq!(bench.events(), [message("bravo", "hi")]);
    bench.acknowledge(CHARLIE);
    assert_eq!(bench.answers(), []);
    let (_, bounce) = bench.sent(ALPHA).remove(0);
    assert_eq!((bounce.kind, &*bounce.sender, &*bounce.text), (Kind::Bounce, "bravo", "hi"));
    assert_ne!(bounce.token, 0);
    bench.ask(9, &single("again", 8));
    bench.acknowledge(ALPHA);
    bench.acknowledge(CHARLIE);
    let (peer, answer) = bench.answers().remove(0);
    assert_eq!((peer, answer.kind, &*answer.text), (9, Kind::Single, "acknowledged by bravo, alpha, charlie"));
    assert_eq!((answer.acknowledged, answer.missing), (["bravo", "alpha", "charlie"].map(Into::into).into(), vec![]));
}

#[test]
fn a_member_that_is_down_is_named_after_half_a_second_and_all_others_have_it() {
    let mut bench = bench();
    bench.link(CHARLIE, false);
    assert_eq!(bench.events(), [Event::Down { name: "charlie".into() }]);
    bench.ask(9, &single("hi", 7));
    bench.acknowledge(ALPHA);
    bench.wait(499);
    assert_eq!(bench.answers(), []);
    bench.wait(1);
    let (_, answer) = bench.answers().remove(0);
    assert_eq!((answer.kind, &*answer.text), (Kind::Error, "not acknowledged by charlie"));
    assert_eq!(
        (answer.acknowledged, answer.missing),
        (["bravo", "alpha"].map(Into::into).into(), vec!["charlie".into()])
    );
    assert_eq!(bench.events()[1..], [Event::Missing { names: vec!["charlie".into()], text: "hi".into() }]);
}

#[test]
fn an_answer_that_is_no_acknowledgement_is_none() {
    let mut bench = bench();
    bench.ask(9, &single("hi", 7));
    bench.acknowledge(ALPHA);
    let (envelope, _) = bench.sent(CHARLIE).remove(0);
    let frames = join(envelope, &Message { kind: Kind::Error, ..Message::default() });
    bench.handle(Input::Courier(courier::Input::Heard { member: CHARLIE, frames }));
    assert_eq!(bench.answers()[0].1.missing, ["charlie"]);
}

#[test]
fn a_repetition_is_told_once_and_given_the_same_answer() {
    let mut bench = bench();
    bench.ask(8, &single("hi", 7));
    bench.ask(9, &single("hi", 7));
    assert_eq!(bench.events(), [message("bravo", "hi")]);
    bench.acknowledge(ALPHA);
    bench.acknowledge(CHARLIE);
    let first = bench.answers();
    assert_eq!((first.len(), first[0].0), (1, 9), "whoever asked last");
    bench.ask(10, &single("hi", 7));
    assert_eq!(bench.answers(), [(10, first[0].1.clone())]);
    assert_eq!((bench.events(), bench.sent(ALPHA).len()), (vec![], 0));
}

#[test]
fn what_another_member_passes_on_is_told_once_and_acknowledged_each_time() {
    let mut bench = bench();
    let bounce = Message { kind: Kind::Bounce, sender: "alpha".into(), ..single("hi", 7) };
    bench.ask(1, &bounce);
    bench.ask(2, &bounce);
    assert_eq!(bench.events(), [message("alpha", "hi")]);
    let answers = bench.answers();
    assert!(answers.iter().map(|(peer, answer)| (*peer, answer.kind)).eq([(1, Kind::Bounce), (2, Kind::Bounce)]));
}

#[test]
fn a_message_without_a_token_as_zmqnet_sends_it_is_another_one_each_time() {
    let mut bench = with(|config| config.others.clear());
    bench.ask(1, &single("hi", 0));
    bench.ask(1, &single("hi", 0));
    assert_eq!(bench.events().len(), 2);
    assert_eq!(bench.answers()[1].1.acknowledged, ["bravo"], "alone it is all");
}

#[test]
fn answers_max_and_told_max_are_met_and_the_oldest_is_forgotten() {
    let mut bench = with(|config| (config.answers_max, config.told_max, config.others) = (2, 2, vec![]));
    for token in [1, 2, 1, 3, 1] {
        bench.ask(1, &single("hi", token));
    }
    assert_eq!(bench.events().len(), 4, "1 was forgotten for 3");
    for token in [1, 2, 1, 3, 1] {
        bench.ask(1, &Message { kind: Kind::Bounce, ..single("hi", token) });
    }
    assert_eq!(bench.events().len(), 4, "the same of what others pass on");
}

#[test]
fn rounds_bytes_max_is_met_and_one_more_is_refused_until_there_is_room_again() {
    let text = "t".repeat(1000);
    let mut bench = with(|config| config.rounds_bytes_max = 5000);
    (1..=3).for_each(|token| bench.ask(token, &single(&text, token)));
    let answers = bench.answers();
    assert_eq!((answers.len(), answers[0].0, answers[0].1.kind), (1, 3, Kind::Error));
    assert!(answers[0].1.text.contains("bytes (allowed: 5000)"), "{}", answers[0].1.text);
    assert_eq!((bench.events().len(), bench.node.faults()), (2, 0));
    // Whoever asks again from behind a long envelope takes no more either, and is answered where it asked before.
    let long = Frames::from([vec![1; 2000], vec![]]);
    bench.handle(Input::Request { peer: PeerId(7), frames: join(long, &single(&text, 1)) });
    bench.acknowledge(ALPHA);
    bench.acknowledge(CHARLIE);
    assert!(
        bench.answers().iter().map(|(peer, answer)| (*peer, answer.kind)).eq([(1, Kind::Single), (2, Kind::Single)])
    );
    (4..=6).for_each(|token| bench.ask(token, &single(&text, token)));
    assert_eq!((bench.events().len(), bench.answers().len()), (2, 1));
}

#[test]
fn a_message_to_many_is_encoded_once_and_its_octets_are_shared() {
    let mut bench = bench();
    bench.link(CHARLIE, false);
    bench.ask(1, &single("hi", 7));
    bench.link(CHARLIE, true);
    bench.wait(1000);
    bench.link(ALPHA, true);
    let sent = bench.outputs.iter().filter_map(|output| match output {
        Output::Send { member, frames } => Some((*member, frames[2].as_ptr())),
        _ => None,
    });
    let sent: Vec<_> = sent.collect();
    assert_eq!(sent.iter().map(|(member, _)| *member).collect::<Vec<_>>(), [ALPHA, CHARLIE, ALPHA]);
    assert!(sent.iter().all(|(_, octets)| *octets == sent[0].1));
}

#[test]
fn rounds_max_is_met_and_one_more_is_refused() {
    let mut bench = with(|config| config.rounds_max = 2);
    (1..=3).for_each(|token| bench.ask(token, &single("hi", token)));
    let answers = bench.answers();
    assert_eq!((answers.len(), answers[0].0, answers[0].1.kind), (1, 3, Kind::Error));
    assert!(answers[0].1.text.contains("allowed: 2"), "{}", answers[0].1.text);
    assert_eq!(bench.events().len(), 2);
}

#[test]
fn what_is_no_message_is_answered_where_there_is_a_way_back_and_counted() {
    let mut bench = bench();
    for frames in [Frames::new(), Frames::from(["x"]), Frames::from(["", "a", "b"])] {
        bench.handle(Input::Request { peer: PeerId(1), frames });
    }
    assert_eq!(bench.answers(), []);
    bench.handle(Input::Request { peer: PeerId(1), frames: Frames::from([&b""[..], b"\x08\x07"]) });
    bench.ask(1, &Message { kind: Kind::Error, ..Message::default() });
    let answers = bench.answers();
    assert!(answers.iter().all(|(_, answer)| answer.kind == Kind::Error));
    assert!(answers[0].1.text.contains("type 7"), "{}", answers[0].1.text);
    assert_eq!((bench.node.faults(), bench.events()), (5, vec![]));
}

#[test]
fn the_end_answers_what_is_under_way_with_those_who_have_not_acknowledged() {
    let mut bench = bench();
    bench.ask(1, &single("hi", 7));
    bench.acknowledge(ALPHA);
    bench.handle(Input::Shutdown);
    assert_eq!(bench.answers()[0].1.missing, ["charlie"]);
    assert_eq!(bench.outputs.last(), Some(&Output::Finished));
}

#[test]
fn connections_come_and_go_and_each_change_is_told_once() {
    let mut bench = bench();
    bench.link(ALPHA, true);
    bench.link(ALPHA, false);
    bench.link(ALPHA, true);
    let (down, up) = (Event::Down { name: "alpha".into() }, Event::Up { name: "alpha".into() });
    assert_eq!(bench.events(), [down, up]);
}

#[test]
fn a_member_whose_connection_is_replaced_is_gone_until_the_new_one_is_there() {
    let mut bench = bench();
    bench.ask(9, &single("hi", 7));
    bench.acknowledge(ALPHA);
    bench.events();
    bench.wait(1000);
    assert!(bench.outputs.contains(&Output::Reopen { member: CHARLIE }));
    assert_eq!(bench.events(), [Event::Down { name: "charlie".into() }]);
    bench.link(CHARLIE, true);
    assert_eq!(bench.events(), [Event::Up { name: "charlie".into() }]);
}

#[test]
fn what_is_under_way_is_never_forgotten_for_what_others_say() {
    let mut bench = with(|config| (config.answers_max, config.told_max) = (2, 2));
    bench.ask(8, &single("hi", 7));
    for token in 1..=5 {
        bench.ask(1, &Message { kind: Kind::Bounce, sender: "alpha".into(), ..single("theirs", token) });
    }
    (0..5).for_each(|token| bench.ask(1, &single("others", 8 + token)));
    bench.events();
    bench.outputs.clear();
    bench.ask(9, &single("hi", 7));
    assert_eq!((bench.events(), bench.sent(ALPHA).len()), (vec![], 0), "it is the same message");
}

#[test]
fn what_was_answered_is_not_forgotten_for_what_others_pass_on() {
    let mut bench = with(|config| (config.answers_max, config.told_max) = (2, 2));
    bench.ask(8, &single("hi", 7));
    bench.acknowledge(ALPHA);
    bench.acknowledge(CHARLIE);
    let first = bench.answers();
    for token in 1..=5 {
        bench.ask(1, &Message { kind: Kind::Bounce, sender: "alpha".into(), ..single("theirs", token) });
    }
    bench.answers();
    bench.events();
    bench.ask(9, &single("hi", 7));
    assert_eq!(bench.answers(), [(9, first[0].1.clone())]);
    assert_eq!(bench.events(), []);
}
