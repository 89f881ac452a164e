//! What the oracles read in a message, whatever its dialect: as much as they need, and by themselves.

use std::time::Duration;

use bytes::Bytes;
use protocol::Frames;

/// A message to or from a worker, as far as it matters here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Command {
    /// What 0.3 says with it: how much it takes at once, and how often it beats.
    Ready(Option<(usize, Duration)>),
    /// Of which service, where the dialect says so.
    Request(Option<Bytes>),
    Final,
    Cancel,
    Credit(usize),
    /// Of one service, or of all.
    Drain(Option<Bytes>),
    /// How often it beats, where the dialect says so.
    Heartbeat(Option<Duration>),
    Disconnect,
    Other,
}

impl Command {
    /// The command of a message in the worker's protocol (RFC 7 and 18, MDP-0.3), if it is one.
    pub(crate) fn of(frames: &Frames) -> Option<Self> {
        if let Some(head) = frames.first().filter(|head| head.starts_with(b"MDPW03")) {
            return Self::native(head);
        }
        let header = frames.iter().take(2).position(|frame| frame.starts_with(b"MDPW0"))?;
        let is_01 = frames.get(header)?.ends_with(b"1");
        Some(match (frames.get(header + 1)?.as_ref(), is_01) {
            ([1], _) => Self::Ready(None),
            ([2], _) => Self::Request(None),
            ([3], true) | ([4], false) => Self::Final,
            ([4], true) | ([5], false) => Self::Heartbeat(None),
            ([5], true) | ([6], false) => Self::Disconnect,
            _ => Self::Other,
        })
    }

    fn native(head: &Bytes) -> Option<Self> {
        let name = |at: usize| {
            let length = usize::from(*head.get(at)?);
            (length > 0 && at + 1 + length <= head.len()).then(|| head.slice(at + 1..at + 1 + length))
        };
        let millis = |at| number(head, at).map(|millis| Duration::from_millis(millis as u64));
        Some(match head.get(6)? {
            1 => Self::Ready(number(head, 7).zip(millis(11))),
            2 => Self::Request(name(36)),
            4 => Self::Final,
            5 => Self::Cancel,
            6 => Self::Credit(number(head, 7)?),
            7 => Self::Drain(name(11)),
            8 => Self::Heartbeat(millis(7)),
            9 => Self::Disconnect,
            _ => Self::Other,
        })
    }

    /// What the broker calls the request that is given away, or that a part of an answer is for.
    pub(crate) fn address(frames: &Frames) -> Option<Bytes> {
        if let Some(head) = frames.first().filter(|head| head.starts_with(b"MDPW03")) {
            return (matches!(head.get(6), Some(2..=5)) && head.len() >= 15).then(|| head.slice(7..15));
        }
        let header = frames.iter().take(2).position(|frame| frame.starts_with(b"MDPW0"))?;
        let names_one = matches!(frames.get(header + 1)?.as_ref(), [2 | 3]) || Self::of(frames) == Some(Self::Final);
        frames.get(header + 2).filter(|_| names_one).cloned()
    }
}

/// The service that a client's request asks, and the first frame of its body, if it is well formed.
pub(crate) fn asked(frames: &Frames) -> Option<(Bytes, Option<&Bytes>)> {
    if let Some(head) = frames.first().filter(|head| head.starts_with(b"MDPC03")) {
        let length = usize::from(*head.get(23).filter(|_| head.get(6) == Some(&2))?);
        return (24 + length <= head.len()).then(|| (head.slice(24..24 + length), frames.get(1)));
    }
    let header = frames.iter().position(|frame| frame.starts_with(b"MDPC"))?;
    let after = header + if frames.get(header)?.ends_with(b"01") { 1 } else { 2 };
    Some((frames.get(after)?.clone(), frames.get(after + 1)))
}

fn number(head: &Bytes, at: usize) -> Option<usize> {
    let octets = head.get(at..at + 4)?.try_into().ok()?;
    usize::try_from(u32::from_be_bytes(octets)).ok()
}

#[cfg(test)]
mod tests {
    use protocol::mdp::v03::worker::{FromWorker, Request, ToWorker};
    use protocol::mdp::v03::{JobNumber, Offer, Options, Ready};

    use super::*;

    #[test]
    fn commands_are_read_in_all_dialects() {
        let of = |frames: Frames| Command::of(&frames);
        assert_eq!(of(["", "MDPW01", "\x03", "address"].into()), Some(Command::Final));
        assert_eq!(of(["MDPW02", "\x03", "address"].into()), Some(Command::Other));
        assert_eq!(of(["", "MDPW02", "\x06"].into()), Some(Command::Disconnect));
        assert_eq!(of(["", "MDPC02", "\x01"].into()), None);
        let beat = Duration::from_millis(700);
        let offer = Offer { service: "s0".parse().unwrap(), options: Options::none() };
        let ready = Ready { credit: 3, interval: beat, options: Options::none(), offers: vec![offer] };
        assert_eq!(of(FromWorker::Ready(ready).encode()), Some(Command::Ready(Some((3, beat)))));
        assert_eq!(of(FromWorker::Heartbeat(beat).encode()), Some(Command::Heartbeat(Some(beat))));
        assert_eq!(of(FromWorker::Credit(7).encode()), Some(Command::Credit(7)));
    }

    #[test]
    fn a_request_of_0_3_names_its_service_and_its_job() {
        let request = Request {
            job: JobNumber(7),
            attempt: 1,
            remaining: None,
            id: None,
            service: "s1".parse().unwrap(),
            options: Options::none(),
            body: ["body"].into(),
        };
        let frames = ToWorker::Request(request).encode();
        assert_eq!(Command::of(&frames), Some(Command::Request(Some("s1".into()))));
        assert_eq!(Command::address(&frames), Some(Bytes::copy_from_slice(&7u64.to_be_bytes())));
    }

    #[test]
    fn what_is_asked_is_read_in_all_dialects() {
        let asked = |frames: Frames| super::asked(&frames).map(|(service, body)| (service, body.cloned()));
        let expected = Some((Bytes::from("echo"), Some(Bytes::from("hi"))));
        assert_eq!(asked(["", "MDPC01", "echo", "hi"].into()), expected);
        assert_eq!(asked(["MDPC02", "\x01", "echo", "hi"].into()), expected);
        let head = [b"MDPC03\x02".as_slice(), &[9; 16], b"\x04echo"].concat();
        assert_eq!(asked(Frames::from([Bytes::from(head), Bytes::from("hi")])), expected);
    }
}
