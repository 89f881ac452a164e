//! A broker gives the requests of one connection to one service to its workers in the order in which they came.
//!
//! Others may overtake (lanes take turns), and a request that comes back from a lost worker is next again; so the first
//! time counts. A request that came twice cannot be told from its double and is left out.

use bytes::Bytes;
use protocol::{Frames, PeerId};
use rustc_hash::FxHashMap;

use crate::marker::Token;

/// What one broker was asked, and in which order.
#[derive(Debug, Default)]
pub(crate) struct Order {
    arrived: FxHashMap<Token, Arrival>,
    /// The latest request that was given away, for each connection and service.
    given: FxHashMap<(PeerId, Bytes), u64>,
    count: u64,
}

#[derive(Debug)]
struct Arrival {
    peer: PeerId,
    service: Bytes,
    /// Its place among all that arrived; `None` once it is of no use any more.
    place: Option<u64>,
}

impl Order {
    /// A request arrives.
    pub(crate) fn on_request(&mut self, peer: PeerId, service: &Bytes, frames: &Frames) {
        let Some((token, _)) = Token::find(frames) else { return };
        self.count += 1;
        let place = Some(self.count);
        self.arrived.entry(token).and_modify(|arrival| arrival.place = None).or_insert_with(|| Arrival {
            peer,
            service: service.clone(),
            place,
        });
    }

    /// A worker is given a request.
    pub(crate) fn on_dispatch(&mut self, frames: &Frames) -> Result<(), String> {
        let Some((token, _)) = Token::find(frames) else { return Ok(()) };
        let Some(arrival) = self.arrived.get_mut(&token) else {
            return Err(format!("request {} of client {} was never asked here", token.number, token.client));
        };
        let Some(place) = arrival.place.take() else { return Ok(()) };
        let given = self.given.entry((arrival.peer, arrival.service.clone())).or_default();
        if place < *given {
            return Err(format!("request {} of client {} was overtaken by a later one", token.number, token.client));
        }
        *given = place;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(number: u64) -> Frames {
        Frames::from([Token { client: 1, number }.to_frame()])
    }

    #[test]
    fn a_request_that_is_overtaken_on_its_own_connection_is_found() {
        let mut order = Order::default();
        let service = Bytes::from_static(b"s0");
        for number in 0..3 {
            order.on_request(PeerId(1), &service, &request(number));
        }
        order.on_request(PeerId(2), &service, &request(3));
        assert!(order.on_dispatch(&request(3)).is_ok());
        assert!(order.on_dispatch(&request(1)).is_ok());
        assert!(order.on_dispatch(&request(0)).is_err());
        assert!(order.on_dispatch(&request(2)).is_ok());
        assert!(order.on_dispatch(&request(1)).is_ok(), "it came back from a lost worker");
        assert!(order.on_dispatch(&request(9)).is_err(), "nobody asked for it");
    }
}
