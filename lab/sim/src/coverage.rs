//! What a run, or a sweep of many, has visited: states of the machines with the inputs that met them, their changes of
//! state, and everything that they can tell.
//!
//! The tables here list every point there is, so that what was never visited can be named. A point that cannot be
//! reached is not in the tables, and each such omission has its reason beside it.

/// A machine's table: its observable states and its inputs.
#[derive(Debug)]
pub struct Table {
    /// The machine's name.
    pub name: &'static str,
    /// Its states.
    pub states: &'static [&'static str],
    /// Its inputs.
    pub inputs: &'static [&'static str],
    /// Pairs of state and input that cannot meet.
    impossible: &'static [(usize, usize)],
}

/// Which machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Machine {
    Broker,
    Worker,
    Pirate,
    Multiplex,
    Titanic,
    Mesh,
}

/// The machines, in the order of `Machine`.
pub const TABLES: [Table; 6] = [
    Table {
        name: "broker",
        states: &["nobody", "workers", "queue", "workers and queue"],
        inputs: &["connected", "request", "worker", "garbage", "disconnected", "refused", "shutdown", "tick", "drain"],
        impossible: &[],
    },
    Table {
        name: "worker",
        states: &[
            "waiting",
            "opening",
            "holding",
            "registered",
            "busy",
            "down",
            "ending",
            "ended",
            "announced",
            "draining",
        ],
        inputs: &["connected", "disconnected", "message", "part", "final", "shutdown", "tick", "stopped", "credit"],
        // Without a socket there is neither connection nor message; holding means that all slots are taken by orphans;
        // nothing is answered where no job runs; an ended process hears nothing. `down` is passed through within one
        // input while serving; a socket that is opening has nothing to wait for; no broker speaks before READY.
        impossible: &[
            (0, 0),
            (0, 1),
            (0, 2),
            (1, 1),
            (1, 2),
            (2, 0),
            (2, 2),
            (3, 0),
            (3, 3),
            (3, 4),
            (4, 0),
            (5, 0),
            (5, 1),
            (5, 2),
            (5, 3),
            (5, 4),
            (5, 5),
            (5, 6),
            (6, 0),
            (7, 0),
            (7, 1),
            (7, 2),
            (7, 3),
            (7, 4),
            (7, 5),
            (7, 6),
            (1, 6),
            (2, 6),
            (3, 7),
            (5, 7),
            (5, 8),
            (7, 7),
            (7, 8),
            (8, 0),
            (9, 0),
        ],
    },
    Table {
        name: "pirate",
        states: &["no socket", "pausing", "opening", "connected", "pausing with call", "opening with call", "waiting"],
        inputs: &["request", "connected", "disconnected", "message", "tick"],
        // No socket, or none yet: nothing can come from it. Without a call there is no deadline but that of a pause,
        // and no answer either: whoever gives a request up closes its socket, and our broker answers once.
        impossible: &[
            (0, 1),
            (0, 2),
            (0, 3),
            (0, 4),
            (1, 1),
            (1, 2),
            (1, 3),
            (2, 0),
            (2, 1),
            (2, 2),
            (2, 3),
            (2, 4),
            (3, 1),
            (3, 3),
            (3, 4),
            (4, 1),
            (4, 2),
            (4, 3),
            (5, 2),
            (5, 3),
            (6, 1),
        ],
    },
    Table {
        name: "multiplex",
        states: &["idle, waiting", "idle, opening", "idle, up", "busy, waiting", "busy, opening", "busy, up", "down"],
        inputs: &["submit", "forget", "connected", "disconnected", "message", "shutdown", "tick"],
        // A socket that is not connected brings nothing; who is down is not driven any more; without requests there is
        // no deadline but that of a reconnect.
        impossible: &[
            (0, 1),
            (0, 2),
            (0, 3),
            (0, 4),
            (1, 1),
            (1, 3),
            (1, 4),
            (1, 6),
            (2, 1),
            (2, 2),
            (2, 6),
            (3, 2),
            (3, 3),
            (3, 4),
            (4, 3),
            (4, 4),
            (5, 2),
            (6, 0),
            (6, 1),
            (6, 2),
            (6, 3),
            (6, 4),
            (6, 5),
            (6, 6),
        ],
    },
    Table {
        name: "titanic",
        states: &["nothing open", "open", "dead letters", "open and dead letters"],
        inputs: &[
            "request",
            "reply",
            "close",
            "dead",
            "withdrawn",
            "flushed",
            "flush failed",
            "answered",
            "failed",
            "silent",
            "looked",
            "quiet",
            "end",
            "tick",
        ],
        // A call is of something that is open.
        impossible: &[(0, 7), (0, 8), (0, 9), (2, 7), (2, 8), (2, 9)],
    },
    Table {
        name: "mesh",
        states: &["alone", "members", "half-known", "members and half-known"],
        inputs: &[
            "beacon",
            "connected",
            "message",
            "disconnected",
            "linked",
            "refused",
            "headers",
            "join",
            "leave",
            "whisper",
            "shout",
            "shutdown",
            "tick",
        ],
        // Nobody whispers to nobody, and there is no queue to be full.
        impossible: &[(0, 5), (0, 9), (2, 9)],
    },
];

/// Everything that the machines tell, by name; the nodes name them when they hear them.
pub const TOLD: [&str; 131] = [
    "broker: worker ready",
    "broker: worker left",
    "broker: worker closed",
    "broker: worker expired",
    "broker: worker expelled",
    "broker: worker stalled",
    "broker: worker left at shutdown",
    "broker: requeued",
    "broker: queue full",
    "broker: broker full",
    "broker: no worker",
    "broker: waited too long",
    "broker: attempts exhausted",
    "broker: stream broken",
    "broker: reply too large",
    "broker: disabled",
    "broker: abandoned",
    "broker: duplicate",
    "broker: cancelled",
    "broker: overdue",
    "broker: refused while draining",
    "broker: not worked off",
    "broker: cut off by the end",
    "broker: service drains",
    "broker: drains",
    "broker: worker drained",
    "broker: fault header",
    "broker: fault envelope",
    "broker: fault missing frame",
    "broker: fault trailing frame",
    "broker: fault command",
    "broker: fault service name",
    "broker: fault address",
    "broker: close",
    "broker: identity replaced",
    "broker: does not know 0.3",
    "worker: registered",
    "worker: lost disconnected",
    "worker: lost dismissed",
    "worker: lost silent",
    "worker: answer dropped",
    "worker: request ignored",
    "worker: abandoned jobs",
    "worker: lost drained",
    "worker: lost unanswered",
    "worker: fell back",
    "worker: not offered",
    "worker: draining",
    "worker: dismissed",
    "worker: stopped",
    "client: connected",
    "client: connected and resent",
    "client: lost",
    "client: duplicate",
    "client: part",
    "client: restarted",
    "client: answered",
    "client: refused with a status",
    "client: silence",
    "client: full",
    "client: forgotten",
    "client: status",
    "client: broken",
    "client: not native",
    "client: native",
    "client: fell back",
    "client: mute",
    "client: silent broker",
    "client: hole",
    "client: told of a drain",
    "operator: answered",
    "native worker: serving",
    "native worker: told of a drain",
    "native worker: let go",
    "native worker: dismissed",
    "native worker: cancelled",
    "native worker: drains",
    "native worker: drains one",
    "native client: speaking",
    "native client: part",
    "native client: cancelled",
    "native client: clash ended",
    "native client: told of a drain",
    "native client: 200",
    "native client: 400",
    "native client: 403",
    "native client: 404",
    "native client: 408",
    "native client: 409",
    "native client: 429",
    "native client: 499",
    "native client: 500",
    "native client: 502",
    "native client: 503",
    "mesh: enter",
    "mesh: exit left",
    "mesh: exit expired",
    "mesh: exit restarted",
    "mesh: exit gap",
    "mesh: exit stalled",
    "mesh: join",
    "mesh: leave",
    "mesh: evasive",
    "mesh: whisper",
    "mesh: shout",
    "mesh: service up",
    "mesh: service down",
    "titanic: died",
    "titanic: answer refused",
    "titanic: service down",
    "titanic: service up",
    "titanic: stopped",
    "titanic: cannot open its log",
    "depositor: acknowledged",
    "depositor: once more",
    "depositor: refused",
    "depositor: silence",
    "depositor: answered",
    "depositor: pending",
    "depositor: given up",
    "depositor: unknown",
    "depositor: closed",
    "depositor: listed",
    "depositor: read",
    "depositor: replayed",
    "depositor: dropped",
    "depositor: not among the dead",
    "broker: fault request id",
    "broker: fault value",
    "broker: fault repeated",
    "broker: fault option",
];

/// Where a sweep has been.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Coverage {
    met: [Vec<u64>; TABLES.len()],
    changed: [Vec<u64>; TABLES.len()],
    told: Vec<u64>,
}

impl Default for Coverage {
    fn default() -> Self {
        let size = |count: fn(&Table) -> usize| TABLES.each_ref().map(|table| vec![0; count(table)]);
        Self {
            met: size(|table| table.states.len() * table.inputs.len()),
            changed: size(|table| table.states.len() * table.states.len()),
            told: vec![0; TOLD.len()],
        }
    }
}

impl Coverage {
    /// An input met a machine in a state.
    pub(crate) fn met(&mut self, machine: Machine, state: usize, input: usize) {
        let Some(table) = TABLES.get(machine as usize) else { return };
        count(self.met.get_mut(machine as usize), state * table.inputs.len() + input);
    }

    /// A machine went from one state to another.
    pub(crate) fn changed(&mut self, machine: Machine, from: usize, to: usize) {
        let Some(table) = TABLES.get(machine as usize) else { return };
        if from != to {
            count(self.changed.get_mut(machine as usize), from * table.states.len() + to);
        }
    }

    /// A machine told something; the name is one of [`TOLD`].
    pub(crate) fn told(&mut self, name: &'static str) {
        if let Some(place) = TOLD.iter().position(|other| *other == name) {
            count(Some(&mut self.told), place);
        } else {
            debug_assert!(false, "{name} is not in the table");
        }
    }

    /// Adds what another run has visited.
    pub fn add(&mut self, other: &Self) {
        for (mine, theirs) in self.met.iter_mut().zip(&other.met) {
            add(mine, theirs);
        }
        for (mine, theirs) in self.changed.iter_mut().zip(&other.changed) {
            add(mine, theirs);
        }
        add(&mut self.told, &other.told);
    }

    /// How many points were visited, and how many there are.
    pub fn reached(&self) -> (usize, usize) {
        let points = self.points();
        (points.iter().filter(|(_, count)| *count > 0).count(), points.len())
    }

    /// The points that were never visited.
    pub fn never(&self) -> Vec<String> {
        self.points().into_iter().filter(|(_, count)| *count == 0).map(|(name, _)| name).collect()
    }

    /// Every point there is, with how often it was visited.
    pub fn points(&self) -> Vec<(String, u64)> {
        let mut points = Vec::new();
        for (table, met) in TABLES.iter().zip(&self.met) {
            for (place, count) in met.iter().enumerate() {
                let (state, input) = (place / table.inputs.len(), place % table.inputs.len());
                if *count > 0 || !table.impossible.contains(&(state, input)) {
                    points.push((
                        format!("{}: {} meets {}", table.name, name(table.states, state), name(table.inputs, input)),
                        *count,
                    ));
                }
            }
        }
        points.extend(TOLD.iter().zip(&self.told).map(|(name, count)| ((*name).to_owned(), *count)));
        points
    }

    /// The changes of state that were seen: `machine: from -> to`.
    pub fn changes(&self) -> Vec<(String, u64)> {
        let mut changes = Vec::new();
        for (table, changed) in TABLES.iter().zip(&self.changed) {
            for (place, count) in changed.iter().enumerate().filter(|(_, count)| **count > 0) {
                let (from, to) = (place / table.states.len(), place % table.states.len());
                changes.push((
                    format!("{}: {} -> {}", table.name, name(table.states, from), name(table.states, to)),
                    *count,
                ));
            }
        }
        changes
    }
}

fn name(names: &[&'static str], place: usize) -> &'static str {
    names.get(place).copied().unwrap_or("?")
}

fn count(list: Option<&mut Vec<u64>>, place: usize) {
    if let Some(count) = list.and_then(|list| list.get_mut(place)) {
        *count += 1;
    }
}

fn add(mine: &mut [u64], theirs: &[u64]) {
    for (mine, theirs) in mine.iter_mut().zip(theirs) {
        *mine += theirs;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_never_visited_is_named() {
        let mut coverage = Coverage::default();
        let (none, all) = coverage.reached();
        coverage.met(Machine::Pirate, 6, 3);
        coverage.told("client: full");
        assert_eq!((none, coverage.reached()), (0, (2, all)));
        assert!(!coverage.never().contains(&"pirate: waiting meets message".to_owned()));
        assert!(coverage.never().contains(&"pirate: waiting meets tick".to_owned()));
    }

    #[test]
    fn visits_of_two_runs_add_up() {
        let mut one = Coverage::default();
        one.changed(Machine::Worker, 1, 3);
        let mut both = one.clone();
        both.add(&one);
        assert_eq!(both.changes(), [("worker: opening -> registered".to_owned(), 2)]);
    }

    #[test]
    fn a_name_of_what_is_told_stands_once() {
        let mut names = TOLD.to_vec();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), TOLD.len());
    }
}
