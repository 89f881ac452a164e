//! Requests that come again under their ids (docs/rfc/MDP-0.3.md, 5.1 and 7.4).

use std::num::NonZeroU32;

use protocol::PeerLimits;
use protocol::mdp::v03::{FromWorker, Idempotency, JobNumber, Outcome, Terms};

use super::v03_peers::status;
use super::*;

const CONFLICT: &str = "F 0 409 the id is in use for another request, or its answer cannot be given again: ";

fn told(bench: &mut Bench, peer: u64, lines: &[&str]) {
    assert_eq!(bench.native_lines(peer), lines, "peer {peer}");
}

fn level(idempotency: Idempotency) -> Terms {
    Terms { idempotency, ..Terms::default() }
}

/// A worker and the client `anna`, whose request 1 has been answered.
fn answered(config: Config, terms: Terms) -> Bench {
    let mut bench = Bench::new(config);
    bench.native_worker(1, 9, &["echo", "other"]);
    bench.enter(9, "anna", None);
    bench.ask(9, 1, "a", terms);
    let job = bench.native_job(1).job;
    bench.native_final(1, job, 0, "first");
    told(&mut bench, 9, &["F 0 200 -: first"]);
    bench
}

#[test]
fn a_queued_request_is_joined_and_answered_where_it_came_from_last() {
    let mut bench = Bench::new(Config::default());
    bench.enter(8, "anna", None);
    bench.ask(8, 1, "a", Terms::default());
    bench.enter(9, "anna", None);
    bench.ask(9, 1, "a", Terms::default());
    bench.ask(9, 1, "another", Terms::default());
    bench.ask_for(9, 1, "other", "a", Terms::default());
    assert_eq!((bench.broker.queued_requests(), bench.broker.counters().duplicates), (1, 1));
    told(&mut bench, 9, &[CONFLICT, CONFLICT]);
    bench.native_worker(1, 9, &["echo"]);
    let job = bench.native_job(1).job;
    bench.native_final(1, job, 0, "done");
    told(&mut bench, 9, &["F 0 200 -: done"]);
    told(&mut bench, 8, &[]);
    assert_eq!(bench.broker.queued, Default::default());
}

#[test]
fn a_running_request_is_joined_and_answered_where_it_came_from_last() {
    let mut bench = Bench::new(Config::default());
    bench.native_worker(1, 9, &["echo"]);
    bench.enter(8, "anna", None);
    bench.ask(8, 1, "a", Terms::default());
    bench.enter(9, "anna", None);
    bench.ask(9, 1, "a", Terms::default());
    bench.ask(9, 1, "another", Terms::default());
    let job = bench.native_job(1).job;
    bench.native_final(1, job, 0, "done");
    told(&mut bench, 9, &[CONFLICT, "F 0 200 -: done"]);
    told(&mut bench, 8, &[]);
    assert_eq!(bench.broker.counters().duplicates, 1);
}

#[test]
fn a_request_that_waits_again_after_its_worker_left_is_joined() {
    let mut bench = Bench::new(Config::default());
    bench.native_worker(1, 9, &["echo"]);
    bench.enter(9, "anna", None);
    bench.ask(9, 1, "a", Terms::default());
    bench.ask(9, 2, "b", Terms::default());
    bench.disconnect(1);
    bench.ask(9, 1, "a", Terms::default());
    bench.cancel(9, 2);
    assert_eq!(bench.broker.queued_requests(), 1);
    bench.native_worker(2, 9, &["echo"]);
    assert_eq!(bench.native_job(2).attempt, 2);
}

#[test]
fn parts_are_joined_on_their_own_connection_and_on_no_other() {
    let mut bench = Bench::new(Config::default());
    bench.native_worker(1, 9, &["echo"]);
    bench.enter(8, "anna", None);
    bench.ask(8, 1, "a", Terms::default());
    let job = bench.native_job(1).job;
    bench.native_partial(1, job, 0, "p0");
    bench.ask(8, 1, "a", Terms::default());
    bench.ask(8, 1, "another", Terms::default());
    told(&mut bench, 8, &["P 0 p0", CONFLICT]);
    bench.disconnect(8);
    bench.enter(9, "anna", None);
    bench.ask(9, 1, "a", Terms::default());
    told(&mut bench, 9, &[CONFLICT]);
    assert_eq!(bench.native_jobs(1).len(), 0, "nobody begins again");
    bench.native_partial(1, job, 1, "p1");
    told(&mut bench, 9, &["F 1 502 the answer broke off in the middle: "]);
}

#[test]
fn a_duplicate_of_an_ended_request_is_answered_from_what_is_kept() {
    for (terms, on_another) in
        [(level(Idempotency::Kept), false), (level(Idempotency::Kept), true), (level(Idempotency::Once), true)]
    {
        let mut bench = answered(Config::default(), terms.clone());
        let peer = if on_another { 10 } else { 9 };
        if on_another {
            bench.disconnect(9);
            bench.enter(10, "anna", None);
        }
        bench.ask(peer, 1, "a", terms.clone());
        bench.ask(peer, 1, "another", terms.clone());
        bench.ask_for(peer, 1, "other", "a", terms);
        told(&mut bench, peer, &["F 0 200 -: first", CONFLICT, CONFLICT]);
        assert_eq!(bench.native_jobs(1).len(), 0, "nobody works again");
        let counters = bench.broker.counters();
        assert_eq!((counters.replies, counters.duplicates, counters.failed), (1, 1, 2));
    }
}

#[test]
fn what_is_kept_is_the_whole_final_whatever_it_says() {
    let mut bench = Bench::new(Config::default());
    bench.native_worker(1, 9, &["echo"]);
    bench.native_request(9, 1, "echo", "a");
    bench.native_request(9, 2, "echo", "b");
    let outcome: Outcome = status(500, "out of paper");
    bench.native_say(1, FromWorker::Final { job: JobNumber(1), outcome, body: Frames::new() });
    let frames = Frames::from(["one", "", "three"]);
    bench.native_say(1, FromWorker::Final { job: JobNumber(2), outcome: Outcome::OK, body: frames });
    let first = bench.sent_to(9);
    bench.native_request(9, 1, "echo", "a");
    bench.native_request(9, 2, "echo", "b");
    assert_eq!((bench.sent_to(9), bench.native_jobs(1).len()), (first, 2));
}

#[test]
fn what_a_worker_has_not_taken_runs_when_it_comes_again_whatever_its_idempotency() {
    use Idempotency::{Kept, Once};
    for (code, idempotency) in [(429, Kept), (429, Once), (503, Kept), (503, Once)] {
        let mut bench = Bench::new(Config::default());
        bench.native_worker(1, 9, &["echo"]);
        for reason in ["busy", "still busy"] {
            bench.native_request_with(9, 1, "echo", "a", level(idempotency));
            let job = bench.native_job(1).job;
            bench.native_say(1, FromWorker::Final { job, outcome: status(code, reason), body: Frames::new() });
            told(&mut bench, 9, &[&format!("F 0 {code} {reason}: ")]);
        }
        assert_eq!((bench.broker.known.len(), bench.broker.kept.len()), (0, 0));
        bench.native_request_with(9, 1, "echo", "a", level(idempotency));
        let job = bench.native_job(1).job;
        bench.native_final(1, job, 0, "done");
        bench.native_request_with(9, 1, "echo", "a", level(idempotency));
        told(&mut bench, 9, &["F 0 200 -: done", "F 0 200 -: done"]);
    }
}

#[test]
fn what_runs_once_and_was_refused_after_a_part_is_not_run_again() {
    let mut bench = Bench::new(Config::default());
    bench.native_worker(1, 9, &["echo"]);
    bench.native_request_with(9, 1, "echo", "a", level(Idempotency::Once));
    let job = bench.native_job(1).job;
    bench.native_partial(1, job, 0, "p0");
    let outcome = Outcome { parts: 1, ..status(503, "gone") };
    bench.native_say(1, FromWorker::Final { job, outcome, body: Frames::new() });
    bench.native_request_with(9, 1, "echo", "a", level(Idempotency::Once));
    told(&mut bench, 9, &["P 0 p0", "F 1 503 gone: ", CONFLICT]);
}

#[test]
fn a_repeatable_request_runs_again_and_nothing_of_it_is_kept() {
    let mut bench = answered(Config::default(), level(Idempotency::Repeatable));
    assert_eq!((bench.broker.known.len(), bench.broker.kept.len()), (0, 0));
    bench.ask(9, 1, "a", level(Idempotency::Repeatable));
    bench.ask(9, 1, "a", level(Idempotency::Repeatable));
    let job = bench.native_job(1).job;
    bench.native_final(1, job, 0, "second");
    told(&mut bench, 9, &["F 0 200 -: second"]);
}

#[test]
fn an_answer_is_forgotten_when_its_window_is_over() {
    let mut config = Config::default();
    config.limits.kept_window = seconds(7);
    let mut bench = answered(config, level(Idempotency::Once));
    bench.pass(Duration::from_millis(6999));
    bench.ask(9, 1, "a", Terms::default());
    told(&mut bench, 9, &["F 0 200 -: first"]);
    bench.pass(Duration::from_millis(1));
    assert_eq!((bench.broker.known.len(), bench.broker.kept.len()), (0, 0));
    bench.native_worker(2, 9, &["echo"]);
    bench.ask(9, 1, "a", Terms::default());
    assert_eq!(bench.native_jobs(1).len() + bench.native_jobs(2).len(), 1);
}

#[test]
fn an_answer_in_parts_or_too_large_is_not_kept_and_what_runs_once_is_not_run_again_for_it() {
    for (idempotency, in_parts) in
        [(Idempotency::Kept, true), (Idempotency::Kept, false), (Idempotency::Once, true), (Idempotency::Once, false)]
    {
        let mut config = Config::default();
        config.limits.kept_answer_bytes_max = 38;
        let mut bench = Bench::new(config);
        bench.native_worker(1, 9, &["echo"]);
        for number in 1..=2 {
            bench.native_request_with(9, number, "echo", "a", level(idempotency));
            let job = bench.native_job(1).job;
            if in_parts {
                bench.native_partial(1, job, 0, "p");
                bench.native_final(1, job, 1, "end");
            } else {
                bench.native_final(1, job, 0, "0123456789");
            }
        }
        bench.native_lines(9);
        bench.native_request_with(9, 1, "echo", "a", level(idempotency));
        bench.native_request_with(9, 2, "echo", "another", level(idempotency));
        let is_new = idempotency == Idempotency::Kept;
        assert_eq!(bench.native_jobs(1).len(), if is_new { 2 } else { 0 });
        told(&mut bench, 9, if is_new { &[] } else { &[CONFLICT, CONFLICT] });
    }
}

#[test]
fn the_largest_answer_that_is_kept_is_kept() {
    let mut config = Config::default();
    // The head of FINAL has 29 octets.
    config.limits.kept_answer_bytes_max = 29 + 10;
    let mut bench = Bench::new(config);
    bench.native_worker(1, 9, &["echo"]);
    for (number, answer) in [(1, "0123456789"), (2, "0123456789a")] {
        bench.native_request(9, number, "echo", "a");
        let job = bench.native_job(1).job;
        bench.native_final(1, job, 0, answer);
    }
    assert_eq!((bench.broker.kept.len(), bench.broker.known.len()), (1, 1));
}

#[test]
fn what_runs_once_is_never_given_to_a_second_worker() {
    let lost = "F 0 502 every worker that was given the request left without an answer: ";
    let mut bench = Bench::new(Config::default());
    bench.native_worker(1, 9, &["echo"]);
    bench.native_worker(2, 9, &["echo"]);
    bench.native_request_with(9, 1, "echo", "a", level(Idempotency::Once));
    bench.disconnect(1);
    told(&mut bench, 9, &[lost]);
    assert_eq!(bench.native_jobs(2).len(), 0);
    bench.native_request_with(9, 1, "echo", "a", level(Idempotency::Once));
    bench.native_request(9, 1, "echo", "a");
    told(&mut bench, 9, &[CONFLICT, CONFLICT]);
    assert_eq!(bench.native_jobs(2).len(), 0, "whatever the duplicate says of itself");
}

#[test]
fn what_runs_once_and_was_cancelled_or_late_runs_again_only_if_no_worker_was_given_it() {
    for (with_worker, by_deadline) in [(true, false), (true, true), (false, false), (false, true)] {
        let mut bench = Bench::new(Config::default());
        if with_worker {
            bench.native_worker(1, 9, &["echo"]);
        }
        let once = Terms { deadline: Some(seconds(1)), ..level(Idempotency::Once) };
        bench.native_request_with(9, 1, "echo", "a", once.clone());
        if by_deadline {
            bench.pass(seconds(1));
        } else {
            bench.cancel(9, 1);
        }
        assert_eq!(bench.native_lines(9).len(), 1);
        bench.native_request_with(9, 1, "echo", "a", once);
        told(&mut bench, 9, if with_worker { &[CONFLICT] } else { &[] });
        assert_eq!(bench.broker.queued_requests(), usize::from(!with_worker));
    }
}

#[test]
fn a_refused_request_is_not_known() {
    let mut bench = Bench::with_policy(|policy| policy.queue_max = 1);
    bench.native_request(9, 1, "echo", "a");
    bench.native_request_with(9, 2, "echo", "b", level(Idempotency::Once));
    assert_eq!(bench.native_lines(9), ["F 0 429 queue of the service is full: "]);
    bench.cancel(9, 1);
    bench.native_request_with(9, 2, "echo", "b", level(Idempotency::Once));
    assert_eq!((bench.broker.queued_requests(), bench.broker.known.len()), (1, 1));
}

#[test]
fn kept_answers_max_is_met_the_oldest_goes_first_and_ids_that_run_once_go_last() {
    let mut config = Config::default();
    config.limits.kept_answers_max = 3;
    let mut bench = Bench::new(config);
    bench.native_worker(1, 9, &["echo"]);
    let run = |bench: &mut Bench, number, idempotency| {
        bench.native_request_with(9, number, "echo", "a", level(idempotency));
        let job = bench.native_job(1).job;
        bench.native_final(1, job, 0, &number.to_string());
        bench.native_lines(9);
        assert_eq!(bench.broker.kept.len(), bench.broker.known.len());
        assert!(bench.broker.kept.len() <= 3);
    };
    run(&mut bench, 1, Idempotency::Once);
    run(&mut bench, 2, Idempotency::Kept);
    run(&mut bench, 3, Idempotency::Kept);
    run(&mut bench, 4, Idempotency::Kept);
    let ask = |bench: &mut Bench, number: u8, is_known: bool| {
        bench.native_request(9, number, "echo", "a");
        let wanted: Vec<_> = is_known.then(|| format!("F 0 200 -: {number}")).into_iter().collect();
        assert_eq!(bench.native_lines(9), wanted);
        assert_eq!(bench.native_jobs(1).len(), usize::from(!is_known));
        bench.cancel(9, number);
        bench.sent_to(9);
        bench.sent_to(1);
    };
    for (number, is_known) in [(1, true), (2, false), (3, true), (4, true)] {
        ask(&mut bench, number, is_known);
    }
    // Only when nothing else is left, the oldest of what runs once goes as well.
    for number in 5..=8 {
        run(&mut bench, number, Idempotency::Once);
    }
    for (number, is_known) in [(1, false), (3, false), (4, false), (5, false), (6, true), (7, true), (8, true)] {
        ask(&mut bench, number, is_known);
    }
}

#[test]
fn where_bytes_are_short_what_runs_once_loses_its_answer_by_age_and_its_id_stays_known() {
    let mut config = Config::default();
    // Two answers, each with a head of 29 octets, a body of 100 and two lengths.
    config.limits.kept_bytes_max = 2 * (29 + 100 + 8);
    let mut bench = Bench::new(config);
    bench.native_worker(1, 9, &["echo"]);
    let (once, kept) = (Idempotency::Once, Idempotency::Kept);
    for (number, idempotency) in (1..).zip([once, kept, once, once, kept]) {
        bench.native_request_with(9, number, "echo", "a", level(idempotency));
        let job = bench.native_job(1).job;
        bench.native_final(1, job, 0, &number.to_string().repeat(100));
        bench.pass(Duration::from_millis(1));
    }
    bench.native_lines(9);
    let mut answers = Vec::new();
    for number in 1..=5 {
        bench.native_request(9, number, "echo", "a");
        answers.push(bench.native_lines(9).first().map_or("new".to_owned(), |line| line[4..7].to_owned()));
    }
    assert_eq!(answers, ["409", "new", "409", "200", "200"]);
    assert_eq!(bench.broker.kept.byte_count(), 2 * (29 + 100 + 8));
}

#[test]
fn kept_bytes_max_is_met_and_the_oldest_goes_first() {
    let mut config = Config::default();
    config.limits.kept_bytes_max = 1000;
    let mut bench = Bench::new(config);
    bench.native_worker(1, 9, &["echo"]);
    for number in 1..=100 {
        bench.native_request(9, number, "echo", "a");
        let job = bench.native_job(1).job;
        bench.native_final(1, job, 0, &"x".repeat(usize::from(number)));
        assert!(bench.broker.kept.byte_count() <= 1000, "{} bytes", bench.broker.kept.byte_count());
        assert_eq!(bench.broker.kept.len(), bench.broker.known.len());
    }
    bench.native_lines(9);
    assert!(bench.broker.kept.byte_count() > 800);
    bench.native_request(9, 100, "echo", "a");
    told(&mut bench, 9, &[&format!("F 0 200 -: {}", "x".repeat(100))]);
}

#[test]
fn many_answers_are_kept_in_their_chunks_and_read_back_as_they_were() {
    let mut bench = Bench::new(Config::default());
    bench.native_worker(1, 1, &["echo"]);
    let answer = |number: u8| char::from(b'a' + number % 26).to_string().repeat(usize::from(number) * 97);
    for number in 1..=255 {
        bench.native_request(9, number, "echo", "a");
        let job = bench.native_job(1).job;
        bench.native_final(1, job, 0, &answer(number));
    }
    let first = bench.native_lines(9);
    for number in 1..=255 {
        bench.native_request(9, number, "echo", "a");
    }
    assert_eq!((bench.native_lines(9), bench.native_jobs(1).len()), (first, 0));
}

#[test]
fn ids_of_different_clients_never_meet() {
    let mut bench = Bench::new(Config::default());
    bench.native_worker(1, 99, &["echo"]);
    let clients =
        [("", None), ("", None), ("anna", None), ("otto", None), ("anna", Some("key 1")), ("anna", Some("key 2"))];
    for (peer, (identity, credential)) in (10..).zip(clients) {
        bench.enter(peer, identity, credential);
        bench.ask(peer, 1, &peer.to_string(), Terms::default());
        let job = bench.native_job(1);
        assert_eq!(text(&job.body), peer.to_string(), "a request of its own");
        bench.native_final(1, job.job, 0, &peer.to_string());
    }
    for peer in 10..16 {
        bench.ask(peer, 1, &peer.to_string(), Terms::default());
        let line = format!("F 0 200 -: {peer}");
        told(&mut bench, peer, &[&line, &line]);
    }
    bench.disconnect(10);
    bench.enter(20, "", None);
    bench.ask(20, 1, "10", Terms::default());
    assert_eq!(bench.native_jobs(1).len(), 1, "without an identity a new connection is a new client");
}

#[test]
fn a_duplicate_needs_the_right_to_ask_but_no_place_in_flight() {
    let mut bench = Bench::new(Config::default());
    bench.native_worker(1, 9, &["echo"]);
    let limits = PeerLimits { in_flight_max: NonZeroU32::new(1), ..PeerLimits::default() };
    bench.connect_with(9, Rights { limits, ..Rights::everything() });
    bench.ask(9, 1, "a", Terms::default());
    bench.ask(9, 1, "a", Terms::default());
    let job = bench.native_job(1).job;
    bench.native_final(1, job, 0, "done");
    told(&mut bench, 9, &["F 0 200 -: done"]);
    bench.change_rights(9, Some(Rights { call: Default::default(), ..Rights::everything() }));
    bench.ask(9, 1, "a", Terms::default());
    told(&mut bench, 9, &["F 0 403 not allowed: "]);
}

#[test]
fn names_of_clients_are_forgotten_with_all_that_is_known_of_them() {
    let mut config = Config::default();
    config.limits.kept_answers_max = 10;
    let mut bench = Bench::new(config);
    bench.native_worker(1, 9, &["echo"]);
    for peer in 100..2000 {
        bench.enter(peer, &peer.to_string(), None);
        bench.ask(peer, 1, "a", Terms::default());
        let job = bench.native_job(1).job;
        bench.native_final(1, job, 0, "done");
        bench.disconnect(peer);
        assert!(bench.broker.clients.len() <= 64, "{} names", bench.broker.clients.len());
    }
    assert_eq!((bench.broker.kept.len(), bench.broker.known.len()), (10, 10));
}

#[test]
fn a_broker_answers_its_own_questions_anew() {
    let mut bench = Bench::new(Config::default());
    for _ in 0..2 {
        bench.native_request(9, 1, "mmi.nonesuch", "x");
    }
    told(&mut bench, 9, &["F 0 200 -: 501", "F 0 200 -: 501"]);
    assert_eq!(bench.broker.known.len(), 0);
}
