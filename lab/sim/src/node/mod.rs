//! A node: a process with a machine of the product in it, a clock of its own, and a driver's hands.
//!
//! [`Actor`] is what a kind of node has to say; a new one is a file beside these, a list in [`crate::plan`] and a few
//! lines in [`crate::cast`] and [`crate::workload`]. An actor does what the product's driver does and nothing else: it
//! carries out what its machine wants. The rounds are those of `runtime::drive`: tick if the deadline has passed,
//! handle all that has arrived, then drain the outputs.

pub(crate) mod broker;
pub(crate) mod depositor;
pub(crate) mod hostile;
pub(crate) mod mesh;
pub(crate) mod multiplex;
pub(crate) mod native_client;
pub(crate) mod native_worker;
pub(crate) mod operator;
pub(crate) mod pirate;
pub(crate) mod session;
mod settings;
pub(crate) mod single_threaded;
pub(crate) mod titanic;
mod told;
mod work;

use std::fmt::Debug;

use bytes::Bytes;
use protocol::{Frames, Instant, ServiceName};

use crate::clock::Clock;
use crate::env::Env;
use crate::net::{Link, Sent, Side};
use crate::queue::{Event, MILLISECOND, Nanos};
use crate::rng::Rng;

/// A node's place in the world.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct NodeId(pub(crate) usize);

/// What a node hears from its sockets.
#[derive(Debug)]
pub(crate) enum Heard {
    Connected { identity: Bytes },
    Message(Frames),
    Disconnected,
}

/// What the world wishes of a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wish {
    /// No more of what was planned: the storm is over.
    Calm,
    /// Show that everything has recovered: one request to each of these services.
    Probe,
    /// End politely; whoever watches over it starts it again.
    Drain,
    /// End politely.
    End,
}

/// A kind of node.
pub(crate) trait Actor: Debug {
    /// Its process starts, with nothing left of an earlier one.
    fn start(&mut self, context: &mut Context<'_>);

    /// Its process is gone, from one instant to the next.
    fn die(&mut self, context: &mut Context<'_>);

    /// Its machine loses its power; its process dies of it, which is told next.
    fn lose_power(&mut self, _context: &mut Context<'_>) {}

    /// Something came from a socket.
    fn hear(&mut self, context: &mut Context<'_>, link: Link, heard: Heard);

    /// A datagram came from another node.
    fn hear_beacon(&mut self, _context: &mut Context<'_>, _from: NodeId, _octets: Bytes) {}

    /// Something that it planned with [`Context::later`].
    fn task(&mut self, context: &mut Context<'_>, task: u64);

    /// What the world wishes.
    fn wish(&mut self, context: &mut Context<'_>, wish: Wish);

    /// The machine's deadline has passed.
    fn tick(&mut self, context: &mut Context<'_>);

    /// Drains the machine's outputs and carries them out.
    fn settle(&mut self, context: &mut Context<'_>);

    /// The machine's deadline, by the node's clock.
    fn deadline(&self) -> Option<Instant>;

    /// What is not yet as it is to be once all is calm.
    fn unsettled(&self, _env: &Env) -> Option<String> {
        None
    }

    /// Looks, once all have left, whether anything is left behind.
    fn inspect(&mut self, _context: &mut Context<'_>) {}
}

/// Whether a process runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Process {
    /// Not started yet, or dead.
    Off,
    Running,
    /// It has ended by itself, politely.
    Ended,
}

/// A node.
#[derive(Debug)]
pub(crate) struct Node {
    /// Its number in the plan.
    pub(crate) id: u32,
    pub(crate) name: String,
    pub(crate) actor: Box<dyn Actor>,
    pub(crate) clock: Clock,
    pub(crate) drift_ppm: i32,
    pub(crate) rng: Rng,
    /// Whom it connects to.
    pub(crate) uplink: Option<NodeId>,
    pub(crate) process: Process,
    /// Reasons for which the process stands still.
    pub(crate) pauses: u8,
    /// Counts its processes: what one has planned means nothing to the next.
    pub(crate) life: u32,
    /// Where its process listens, if there is more than one place.
    pub(crate) port: u16,
    /// It turns new connections away.
    pub(crate) is_deaf: bool,
    /// When it is woken next.
    pub(crate) armed: Option<Nanos>,
    /// Tasks that came due while it stood still.
    pub(crate) postponed: Vec<u64>,
}

/// A node's hands, for as long as it acts.
#[derive(Debug)]
pub(crate) struct Context<'world> {
    pub(crate) env: &'world mut Env,
    pub(crate) node: NodeId,
    /// Its number in the plan.
    pub(crate) id: u32,
    pub(crate) name: &'world str,
    pub(crate) life: u32,
    /// By its own clock.
    pub(crate) local: Instant,
    pub(crate) rng: &'world mut Rng,
    pub(crate) uplink: Option<NodeId>,
    /// The port at which it listens.
    pub(crate) listening: &'world mut u16,
    /// Set by a node whose process ends by itself, or kills itself.
    pub(crate) exit: Option<Exit>,
}

/// How a process ends from within.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    /// All is said.
    Finished,
    /// All is said, and another process takes its place soon.
    Replaced,
    /// It dies of what it does; whoever looks after it starts it again.
    Died,
}

impl Node {
    /// Whether it can do anything now.
    pub(crate) fn is_awake(&self) -> bool {
        self.process == Process::Running && self.pauses == 0
    }
}

impl Context<'_> {
    /// Connects to the broker.
    pub(crate) fn dial(&mut self, identity: Bytes) -> Option<Link> {
        let env = &mut *self.env;
        Some(env.net.dial(env.now, &mut env.queue, self.rng, (self.node, self.uplink?, 0), identity))
    }

    /// Connects to a member of a mesh, at a port of it.
    pub(crate) fn dial_member(&mut self, (to, port): (NodeId, u16), identity: Bytes) -> Link {
        let env = &mut *self.env;
        env.net.dial(env.now, &mut env.queue, self.rng, (self.node, to, port), identity)
    }

    /// Sends a datagram to all other members.
    pub(crate) fn broadcast(&mut self, octets: &Bytes) {
        let env = &mut *self.env;
        env.air.broadcast(env.now, &mut env.queue, self.rng, self.node, octets);
    }

    /// Closes a connection; with `flush`, after what was sent on it.
    pub(crate) fn close(&mut self, link: Link, side: Side, flush: bool) {
        let env = &mut *self.env;
        env.net.close(env.now, &mut env.queue, self.rng, (link, side), flush);
    }

    /// Closes a connection that a peer made, after what was sent on it. Its end is heard of, as any other's.
    pub(crate) fn dismiss(&mut self, link: Link) {
        self.close(link, Side::Listener, true);
        self.hear_end(link);
    }

    /// The end of a connection that this node has closed is heard of soon.
    pub(crate) fn hear_end(&mut self, link: Link) {
        let event = Event::Dismissed { node: self.node, life: self.life, link };
        self.env.queue.push(self.env.now + MILLISECOND / 10, event);
    }

    /// Sends a message.
    pub(crate) fn send(&mut self, link: Link, side: Side, frames: Frames) -> Sent {
        let env = &mut *self.env;
        env.trace.line(env.now, self.name, || format!("sends on {}: {frames:?}", link.0));
        env.net.send(env.now, &mut env.queue, self.rng, (link, side), frames)
    }

    /// Takes note of what an oracle found.
    pub(crate) fn check(&mut self, oracle: &'static str, found: Result<(), String>) {
        if let Err(what) = found {
            self.env.oracles.violated(self.env.now, oracle, format!("{}: {what}", self.name));
        }
    }

    /// Plans a task for this process.
    pub(crate) fn later(&mut self, delay: Nanos, task: u64) {
        let event = Event::Task { node: self.node, life: self.life, task };
        self.env.queue.push(self.env.now + delay, event);
    }

    /// A span of at most so many milliseconds.
    pub(crate) fn up_to(&mut self, millis: u64) -> Nanos {
        self.rng.below(millis * MILLISECOND + 1)
    }

    /// The services of its broker that can be expected to answer.
    pub(crate) fn served(&self) -> Vec<u8> {
        let mine = self.env.served.iter().filter(|(broker, _)| Some(*broker) == self.uplink);
        mine.map(|(_, service)| *service).collect()
    }

    pub(crate) fn trace(&mut self, what: impl FnOnce() -> String) {
        self.env.trace.line(self.env.now, self.name, what);
    }
}

/// The name of a service by its number.
pub(crate) fn service_name(number: u8) -> ServiceName {
    ServiceName::new(vec![b's', b'0' + number % 10]).expect("two bytes are a name")
}
