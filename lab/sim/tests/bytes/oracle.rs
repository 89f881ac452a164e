//! What must have come of a connection, whatever befell it.
//!
//! 1. Every message of which all octets arrived, unturned, is there: whole, unaltered, in order, once. Only CURVE opens
//!    a whole piece before it decodes any of it, and loses what came in one piece with a forgery.
//! 2. Nothing else is there, unless a bit was turned and the mechanism does not protect the stream. Then it is another
//!    message, and within the limits ([`crate::peer`] looks at each).
//! 3. A peer is at fault only where a bit was turned, the mechanisms differ, or a message was too large.
//! 4. It ends: everything was said, or both sides know that it is over.
//! 5. What is to be said again on another connection begins with the first message of which not every octet was taken.

use std::collections::VecDeque;

use protocol::Frames;

use crate::connection::Connection;
use crate::peer::{End, Peer, State};
use crate::plan::{Mishap, Plan, Security};
use crate::wire;

/// What is wrong.
pub(crate) type Verdict = Result<(), String>;

/// Judges a connection that came to rest.
pub(crate) fn judge(plan: &Plan, connection: &Connection) -> Verdict {
    for peer in &connection.peers {
        peer.broken.clone().map_or(Ok(()), Err)?;
        unsent_begins_where_the_stream_was_cut(connection, peer)?;
    }
    for direction in 0..2 {
        everything_that_arrived_is_there(plan, connection, direction)?;
    }
    ends_well(plan, connection)
}

/// What a side has to say on the next connection.
pub(crate) fn carry_over(peer: Peer) -> VecDeque<Frames> {
    let again = peer.unsent.messages();
    let mut carried: VecDeque<_> = peer.said.into_iter().map(|said| said.message).collect();
    carried.drain(..carried.len() - again);
    carried.extend(peer.waiting);
    carried
}

fn everything_that_arrived_is_there(plan: &Plan, connection: &Connection, direction: usize) -> Verdict {
    let pipe = &connection.pipes[direction];
    let mut clean = pipe.flipped_at.unwrap_or(pipe.delivered);
    let reader = &connection.peers[1 - direction];
    if plan.mechanism == Security::Curve && matches!(reader.end(), Some(End::Fault(_))) {
        clean = clean.min(reader.heard_before);
    }
    let (said, heard) = (&connection.peers[direction].said, &reader.heard.messages);
    let messages_within = |octets: usize| said.iter().take_while(|said| said.end <= octets).count();
    let whole = messages_within(clean);
    if heard.len() < whole {
        return Err(format!("direction {direction}: {} of {whole} messages that arrived", heard.len()));
    }
    let may_differ = pipe.flipped_at.is_some() && plan.mechanism != Security::Curve;
    let sure = if may_differ { whole } else { heard.len() };
    if !heard.iter().take(sure).eq(said.iter().map(|said| &said.message).take(sure)) {
        return Err(format!("direction {direction}: a message that was not said there"));
    }
    if pipe.flipped_at.is_none() && heard.len() > messages_within(pipe.delivered) {
        return Err(format!("direction {direction}: a message before it had arrived"));
    }
    Ok(())
}

fn ends_well(plan: &Plan, connection: &Connection) -> Verdict {
    let [one, other] = connection.peers.each_ref().map(Peer::end);
    let flipped = connection.pipes.iter().any(|pipe| pipe.flipped_at.is_some());
    if plan.mismatched {
        let silent = connection.peers.iter().all(|peer| peer.heard.messages.is_empty());
        return if silent && (flipped || (one.is_some() && other.is_some())) {
            Ok(())
        } else {
            Err("strangers did not part".to_owned())
        };
    }
    if flipped {
        // It may wait for octets that a turned length promised; the product's clocks end that.
        return Ok(());
    }
    if let Mishap::Oversize { direction, .. } = connection.mishap {
        let refused = connection.peers[1 - direction].end();
        let fault = matches!(refused, Some(End::Fault(zmtp::Fault::MessageBytes { .. } | zmtp::Fault::FrameCount(_))));
        let told = connection.peers[direction].end() == Some(&End::Closed);
        return if fault && told { Ok(()) } else { Err(format!("a message too large ended in {refused:?}")) };
    }
    match (one, other) {
        (None, None) => connection.peers.iter().try_for_each(finished),
        (Some(End::Closed), Some(End::Closed)) if connection.mishap != Mishap::None => Ok(()),
        ends => Err(format!("without a cause it ended in {ends:?}")),
    }
}

/// Nothing happened to it: it has said everything, and every PING was answered.
fn finished(peer: &Peer) -> Verdict {
    let State::Talking { .. } = peer.state else { return Err("the handshake stalled".to_owned()) };
    let (pings, pongs) = (peer.heard.pings_sent, peer.heard.pongs);
    if !peer.waiting.is_empty() || peer.flying > 0 || pings != pongs {
        return Err(format!(
            "{} messages stalled, {pongs} of {pings} PINGs answered",
            peer.waiting.len() + peer.flying
        ));
    }
    Ok(())
}

fn unsent_begins_where_the_stream_was_cut(connection: &Connection, peer: &Peer) -> Verdict {
    let side = usize::from(std::ptr::eq(peer, &connection.peers[1]));
    if peer.end().is_none() || matches!(connection.mishap, Mishap::Oversize { direction, .. } if direction == side) {
        return Ok(());
    }
    let flight = &peer.said[peer.said.len() - peer.flying..];
    let taken = flight.iter().take_while(|said| said.end <= connection.pipes[side].accepted).count();
    let expected = wire::outbox(flight[taken..].iter().map(|said| &said.message));
    if wire::octets(&peer.unsent) != wire::octets(&expected) || peer.unsent.messages() != expected.messages() {
        return Err(format!("{} messages unsent instead of {}", peer.unsent.messages(), expected.messages()));
    }
    Ok(())
}
