//! A worker that is not ours: one thread, silent while it works, as RFC 7 allows. No machine; the least that speaks the
//! protocol, so that the broker meets peers which behave otherwise than our own session.

use bytes::Bytes;
use protocol::mdp::client::Part;
use protocol::mdp::worker::{FromWorker, ToWorker};
use protocol::{Frames, Instant};

use super::work::Work;
use super::{Actor, Context, Exit, Heard, Wish, service_name};
use crate::net::{Link, Side};
use crate::plan;
use crate::queue::{MILLISECOND, Nanos};

/// The worker.
#[derive(Debug)]
pub(crate) struct SingleThreaded {
    plan: plan::Worker,
    link: Option<Link>,
    is_connected: bool,
    job: Option<(Bytes, Work)>,
    heard_at: Nanos,
    is_calm: bool,
    is_ending: bool,
}

const BEAT: u64 = 0;
const DIAL: u64 = 1;
const WORK: u64 = 2;
const LEAVE: u64 = 3;

impl SingleThreaded {
    pub(crate) fn new(plan: &plan::Worker) -> Self {
        Self {
            plan: plan.clone(),
            link: None,
            is_connected: false,
            job: None,
            heard_at: 0,
            is_calm: false,
            is_ending: false,
        }
    }

    fn say(&self, context: &mut Context<'_>, command: FromWorker) {
        if let Some(link) = self.link {
            context.send(link, Side::Dialer, command.encode(self.plan.dialect));
        }
    }

    /// Gives the connection up, and the job that came on it.
    fn reconnect(&mut self, context: &mut Context<'_>) {
        self.job = None;
        if self.is_ending {
            return self.leave(context);
        }
        if let Some(link) = self.link.take() {
            context.close(link, Side::Dialer, false);
        }
        self.is_connected = false;
        context.later(200 * MILLISECOND, DIAL);
    }

    fn on_command(&mut self, context: &mut Context<'_>, frames: Frames) {
        match ToWorker::decode(self.plan.dialect, frames) {
            Ok(ToWorker::Request { address, body }) => {
                if self.job.is_some() {
                    let what = format!("{} was given a second request", context.name);
                    context.env.oracles.violated(context.env.now, "credit", what);
                }
                let work = Work::begin(context, &self.plan, &body, self.is_calm);
                let pause = work.pause(context, &self.plan, self.is_calm);
                self.job = Some((address, work));
                context.later(pause, WORK);
            }
            Ok(ToWorker::Heartbeat) => {}
            Ok(ToWorker::Disconnect) => {
                // A single thread that works reads nothing; here it reads, and lets its work go.
                self.reconnect(context);
            }
            Err(fault) => {
                let what = format!("{}: our broker broke a rule: {fault}", context.name);
                context.env.oracles.violated(context.env.now, "codec", what);
            }
        }
    }

    fn advance(&mut self, context: &mut Context<'_>) {
        let Some((address, work)) = &mut self.job else { return };
        let address = address.clone();
        let Some((mut part, mut body)) = work.next() else {
            context.exit = Some(Exit::Died);
            return;
        };
        while part == Part::Partial && !self.plan.dialect.streams() {
            let Some((next, more)) = work.next() else {
                context.exit = Some(Exit::Died);
                return;
            };
            part = next;
            body.extend(more);
        }
        if part == Part::Partial {
            let pause = work.pause(context, &self.plan, self.is_calm);
            context.later(pause, WORK);
        } else {
            self.job = None;
        }
        self.say(context, FromWorker::Reply { address, part, body });
        if self.job.is_none() && self.is_ending {
            self.leave(context);
        }
    }

    fn leave(&mut self, context: &mut Context<'_>) {
        self.is_ending = true;
        if self.job.is_some() {
            return;
        }
        if self.is_connected {
            self.say(context, FromWorker::Disconnect);
        }
        if let Some(link) = self.link.take() {
            context.close(link, Side::Dialer, true);
        }
        context.exit = Some(Exit::Finished);
    }

    fn beat(&mut self, context: &mut Context<'_>) {
        let beat = self.plan.heartbeat_ms * MILLISECOND;
        context.later(beat, BEAT);
        if self.job.is_some() || !self.is_connected {
            return;
        }
        if context.env.now > self.heard_at + beat * u64::from(self.plan.liveness) {
            return self.reconnect(context);
        }
        self.say(context, FromWorker::Heartbeat);
    }
}

impl Actor for SingleThreaded {
    fn start(&mut self, context: &mut Context<'_>) {
        self.is_ending = false;
        self.link = context.dial(Bytes::new());
        context.later(self.plan.heartbeat_ms * MILLISECOND, BEAT);
        let leaves = self.plan.leave_ms * MILLISECOND;
        if leaves > context.env.now && !self.is_calm {
            context.later(leaves - context.env.now, LEAVE);
        }
    }

    fn die(&mut self, _context: &mut Context<'_>) {
        self.link = None;
        self.is_connected = false;
        self.job = None;
    }

    fn hear(&mut self, context: &mut Context<'_>, link: Link, heard: Heard) {
        if self.link != Some(link) {
            return;
        }
        self.heard_at = context.env.now;
        match heard {
            Heard::Connected { .. } => {
                self.is_connected = true;
                self.say(context, FromWorker::Ready { service: service_name(self.plan.service), credit: 1 });
            }
            Heard::Message(frames) => self.on_command(context, frames),
            Heard::Disconnected => {
                self.is_connected = false;
                self.reconnect(context);
            }
        }
    }

    fn task(&mut self, context: &mut Context<'_>, task: u64) {
        match task {
            BEAT => self.beat(context),
            DIAL if self.link.is_none() => self.link = context.dial(Bytes::new()),
            DIAL => {}
            LEAVE => self.leave(context),
            _ => self.advance(context),
        }
    }

    fn wish(&mut self, context: &mut Context<'_>, wish: Wish) {
        match wish {
            Wish::Calm => self.is_calm = true,
            Wish::Probe => {}
            Wish::Drain | Wish::End => self.leave(context),
        }
    }

    fn tick(&mut self, _context: &mut Context<'_>) {}

    fn settle(&mut self, _context: &mut Context<'_>) {}

    fn deadline(&self) -> Option<Instant> {
        None
    }
}
