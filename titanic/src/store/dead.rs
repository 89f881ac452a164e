//! `titanic.dead`: what was given up, for whoever looks at it.
//!
//! | question | answer |
//! |---|---|
//! | `list` \[, id\] | `200`, then up to 256 JSON objects, a frame each; those behind that id |
//! | `read`, id | `200`, service, body… of the request |
//! | `replay`, id | `200`: it is called again, with all its attempts |
//! | `drop`, id | `200`: it is closed |
//!
//! An id that is not among them is `400`. The fields are `id service attempts reason submitted-ms died-ms`.

use std::fmt::Write;
use std::ops::Bound;

use protocol::{Frames, ServiceName};

use super::note::Note;
use super::services::{damaged, principal, refusal};
use super::status::{Status, ok, read_id};
use super::{Store, Then, Ticket, Word};
use crate::log::{Entry, Id, Kind, Region};

impl<R: Region> Store<R> {
    pub(super) fn on_dead(&mut self, ticket: Ticket, body: &Frames) -> Result<(), Frames> {
        match body.iter().map(|frame| &**frame).collect::<Vec<&[u8]>>().as_slice() {
            [b"list"] => self.list(ticket, Bound::Unbounded),
            [b"list", after] => self.list(ticket, Bound::Excluded(id(after)?)),
            [b"read", which] => self.read_dead(ticket, id(which)?),
            [b"replay", which] => return self.replay(ticket, id(which)?),
            [b"drop", which] => return self.drop_dead(ticket, id(which)?),
            _ => return Err(Status::Invalid.because("allowed: list [id], read id, replay id, drop id")),
        }
        Ok(())
    }

    fn list(&mut self, ticket: Ticket, after: Bound<Id>) {
        let ids: Vec<Id> = self.dead.range((after, Bound::Unbounded)).take(ROWS_MAX).copied().collect();
        let rows = ids.into_iter().filter_map(|id| {
            let note = self.note(id, self.log.find(&id)?.latest())?;
            Some(row(id, &note).into())
        });
        let answer = Status::Ok.with(rows.collect());
        self.tell(ticket, answer);
    }

    pub(super) fn read_dead(&mut self, ticket: Ticket, id: Id) {
        if self.holds(ticket, Then::ReadDead(ticket, id)) {
            return;
        }
        let answer = match self.dead_body(id) {
            Ok(frames) => Status::Ok.with(frames),
            Err(refusal) => refusal,
        };
        self.tell_read(ticket, answer);
    }

    /// The service, and what it was asked.
    fn dead_body(&self, id: Id) -> Result<Frames, Frames> {
        let entry = self.dead_entry(id)?;
        let note = self.note(id, entry.request()).ok_or_else(damaged)?;
        let mut frames = note.frames;
        frames.push_front(note.service.as_ref().map(ServiceName::to_frame).unwrap_or_default());
        Ok(frames)
    }

    fn replay(&mut self, ticket: Ticket, id: Id) -> Result<(), Frames> {
        let entry = self.dead_entry(id)?;
        let note = self.note(id, principal(&entry)).ok_or_else(damaged)?;
        let service = note.service.clone().ok_or_else(damaged)?;
        if !self.lanes.takes(&service) {
            return Err(Status::Failed.because("open requests of too many services"));
        }
        let now = self.wall_ms();
        let again = Note { attempts: 0, ..note.followed_by(now, ["replayed"].into()) };
        let lsn = self.append(Kind::Attempt, id, &again).map_err(refusal)?;
        self.dead.remove(&id);
        let service = self.lanes.enter(&service);
        self.once_safe(lsn, Then::Tell(ticket, Word::Done));
        self.once_safe(lsn, Then::Offer(id, service));
        Ok(())
    }

    fn drop_dead(&mut self, ticket: Ticket, id: Id) -> Result<(), Frames> {
        self.dead_entry(id)?;
        match self.close(id)? {
            Some(lsn) => self.once_safe(lsn, Then::Tell(ticket, Word::Done)),
            None => self.tell(ticket, ok()),
        }
        Ok(())
    }

    fn dead_entry(&self, id: Id) -> Result<Entry, Frames> {
        let entry = self.log.find(&id).filter(|_| self.dead.contains(&id));
        entry.copied().ok_or_else(|| Status::Invalid.because("not among those that were given up"))
    }
}

/// Why it was given up.
pub(super) fn reason(note: &Note) -> String {
    note.frames.first().map(|reason| String::from_utf8_lossy(reason).into_owned()).unwrap_or_default()
}

fn id(text: &[u8]) -> Result<Id, Frames> {
    read_id(text).ok_or_else(|| Status::Invalid.because("not an id"))
}

fn row(id: Id, note: &Note) -> String {
    let service = note.service.as_ref().map(|service| String::from_utf8_lossy(service.as_bytes()).into_owned());
    format!(
        "{{\"id\":\"{id}\",\"service\":{},\"attempts\":{},\"reason\":{},\"submitted-ms\":{},\"died-ms\":{}}}",
        quoted(&service.unwrap_or_default()),
        note.attempts,
        quoted(&reason(note)),
        note.submitted_ms,
        note.changed_ms
    )
}

/// A JSON string.
fn quoted(text: &str) -> String {
    let mut quoted = String::from("\"");
    for character in text.chars() {
        match character {
            '"' | '\\' => quoted.extend(['\\', character]),
            // Writing into a string cannot fail.
            _ if character.is_control() => write!(quoted, "\\u{:04x}", u32::from(character)).unwrap_or_default(),
            _ => quoted.push(character),
        }
    }
    quoted.push('"');
    quoted
}

const ROWS_MAX: usize = 256;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_is_one_json_object_whatever_a_peer_wrote() {
        let note = Note {
            is_chosen: false,
            digest: 0,
            attempts: 20,
            submitted_ms: 1,
            changed_ms: 2,
            service: Some("a\"b\n".parse().unwrap()),
            frames: ["500 \\ no"].into(),
        };
        assert_eq!(
            row(Id([0xab; 16]), &note),
            concat!(
                r#"{"id":"abababababababababababababababab","service":"a\"b\u000a","attempts":20,"#,
                r#""reason":"500 \\ no","submitted-ms":1,"died-ms":2}"#
            )
        );
    }
}
