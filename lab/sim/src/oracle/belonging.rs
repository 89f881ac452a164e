//! An answer belongs to its request: it carries the request's token, and its parts are those of one execution, each
//! once, in order, with the last one last. A status in place of an answer ends the request, whatever came before it.

use protocol::Frames;

use super::{Request, Subject};
use crate::marker::{Stamp, Token, is_status};

/// A part that is not the last.
pub(super) fn part(request: &mut Request, whose: (u32, u64), body: &Frames) -> Result<(), String> {
    match read(request, whose, body)? {
        true => Err(format!("request {}: its last part came as one of more", whose.1)),
        false => Ok(()),
    }
}

/// The last part, or the whole answer.
pub(super) fn last(request: &mut Request, whose: (u32, u64), body: &Frames) -> Result<(), String> {
    // In the older dialects a worker that fails after some parts can say so in one part more, and no other way.
    if body.last().is_some_and(|last| is_status(&Frames::from([last.clone()]))) {
        return Ok(());
    }
    if request.subject == Subject::Management {
        let code = body.first().is_some_and(|code| code.len() == 3 && code.iter().all(u8::is_ascii_digit));
        return if code { Ok(()) } else { Err(format!("question {} has no code: {body:?}", whose.1)) };
    }
    match read(request, whose, body)? {
        true => Ok(()),
        false => Err(format!("request {}: its answer ends before its last part", whose.1)),
    }
}

/// Reads pairs of token and stamp; whether the last one was the last part.
fn read(request: &mut Request, (client, number): (u32, u64), body: &Frames) -> Result<bool, String> {
    let mut is_last = false;
    for pair in body.chunks(2) {
        let [token, stamp] = pair else { return Err(format!("request {number}: half a part: {body:?}")) };
        let (Some(token), Some(stamp)) = (Token::read(token), Stamp::read(stamp)) else {
            return Err(format!("request {number}: no answer of a worker: {body:?}"));
        };
        if token != (Token { client, number }) {
            return Err(format!("request {number} got the answer to {} of client {}", token.number, token.client));
        }
        let (run, next) = request.run.unwrap_or((stamp.run, 0));
        if (run, next) != (stamp.run, stamp.part) || is_last {
            let found = format!("part {} of run {}", stamp.part, stamp.run);
            return Err(format!("request {number}: {found} where part {next} of run {run} follows"));
        }
        request.run = Some((run, next + 1));
        is_last = stamp.last;
    }
    Ok(is_last)
}

#[cfg(test)]
mod tests {
    use super::super::State;
    use super::*;

    fn request() -> Request {
        Request { subject: Subject::Service(0), state: State::Open, run: None }
    }

    fn body(number: u64, stamps: &[(u64, u32, bool)]) -> Frames {
        let token = Token { client: 1, number }.to_frame();
        let pair = |(run, part, last): &(u64, u32, bool)| {
            [token.clone(), Stamp { run: *run, part: *part, last: *last }.to_frame()]
        };
        stamps.iter().flat_map(pair).collect()
    }

    #[test]
    fn parts_of_one_run_in_order_are_an_answer_however_they_are_cut() {
        let mut streamed = request();
        assert_eq!(part(&mut streamed, (1, 5), &body(5, &[(9, 0, false)])), Ok(()));
        assert_eq!(last(&mut streamed, (1, 5), &body(5, &[(9, 1, true)])), Ok(()));
        assert_eq!(last(&mut request(), (1, 5), &body(5, &[(9, 0, false), (9, 1, true)])), Ok(()));
        assert_eq!(last(&mut request(), (1, 5), &["503 none"].into()), Ok(()));
    }

    type Stamps = &'static [(u64, u32, bool)];

    #[test]
    fn another_ones_answer_a_gap_a_mixture_and_an_end_too_early_are_found() {
        let wrong: [(u64, Stamps); 5] = [
            (6, &[(9, 0, true)]),
            (5, &[(9, 1, true)]),
            (5, &[(9, 0, false), (8, 1, true)]),
            (5, &[(9, 0, false)]),
            (5, &[(9, 0, true), (9, 1, true)]),
        ];
        for (number, stamps) in wrong {
            assert!(last(&mut request(), (1, 5), &body(number, stamps)).is_err(), "{stamps:?}");
        }
        assert!(part(&mut request(), (1, 5), &body(5, &[(9, 0, true)])).is_err());
        assert!(last(&mut request(), (1, 5), &["forged"].into()).is_err());
    }
}
