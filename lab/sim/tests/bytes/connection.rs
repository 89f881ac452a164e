//! One connection from its first octet to its last: two peers and two pipes, and whatever befalls them.

use std::collections::VecDeque;

use protocol::{Frames, Instant};
use sim::rng::Rng;

use crate::party::{self, Greeter};
use crate::peer::{End, Peer};
use crate::pipe::{Arrival, Pipe};
use crate::plan::{Mishap, Plan};

/// A connection that came to rest.
pub(crate) struct Connection {
    pub(crate) mishap: Mishap,
    pub(crate) peers: [Peer; 2],
    /// Pipe 0 is written by peer 0.
    pub(crate) pipes: [Pipe; 2],
    /// Pieces that arrived.
    pub(crate) arrivals: usize,
}

impl Connection {
    /// Runs a connection on which each side has `waiting` to say, until nothing is on its way any more.
    pub(crate) fn run(plan: &Plan, mishap: Mishap, waiting: [VecDeque<Frames>; 2], rng: &Rng) -> Self {
        let mut side = 0;
        let peers = waiting.map(|waiting| {
            let greeter = Greeter::new(plan, side, &mut rng.fork(side as u64));
            side += 1;
            Peer::new(greeter, plan.limits, plan.burst, party::overhead_bytes(plan.mechanism), plan.pings, waiting)
        });
        let pipes = [2, 3].map(|purpose| Pipe::new(plan.network, rng.fork(purpose)));
        let mut connection = Self { mishap, peers, pipes, arrivals: 0 };
        connection.prepare(plan);
        connection.drive(&mut rng.fork(4));
        connection
    }

    fn prepare(&mut self, plan: &Plan) {
        match &self.mishap {
            Mishap::None => {}
            Mishap::Reset { direction, at } => self.pipes[*direction].cut(*at, true),
            Mishap::Truncation { direction, at } => self.pipes[*direction].cut(*at, false),
            Mishap::HalfClose { direction } => self.peers[*direction].half_closes = true,
            Mishap::Flips { direction, at } => self.pipes[*direction].flip(at),
            Mishap::Oversize { direction, excess } => {
                self.peers[*direction].oversize = Some(excess.message(&plan.limits));
            }
        }
    }

    fn drive(&mut self, rng: &mut Rng) {
        let mut now = Instant::ZERO;
        loop {
            for (peer, pipe) in self.peers.iter_mut().zip(&mut self.pipes) {
                peer.speak(now, pipe);
            }
            let times = self.pipes.each_ref().map(Pipe::next_at);
            let direction = match times {
                [None, None] => return,
                [Some(_), None] => 0,
                [None, Some(_)] => 1,
                [Some(of_0), Some(of_1)] if of_0 == of_1 => rng.index(2),
                [Some(of_0), Some(of_1)] => usize::from(of_1 < of_0),
            };
            now = times[direction].unwrap();
            self.arrivals += 1;
            self.arrive(direction);
        }
    }

    fn arrive(&mut self, direction: usize) {
        let reader = 1 - direction;
        match self.pipes[direction].take() {
            Arrival::Octets(octets) => self.peers[reader].hear(&octets),
            Arrival::End => self.peers[reader].finish(End::Closed),
            Arrival::Reset => {
                for (peer, pipe) in self.peers.iter_mut().zip(&mut self.pipes) {
                    peer.finish(End::Closed);
                    pipe.abandon();
                }
            }
        }
        if self.peers[reader].end().is_some() {
            self.pipes[direction].abandon();
        }
    }
}
