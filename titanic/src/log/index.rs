//! Which records count: for each id the state that its records add up to, and where those are that are still needed.
//!
//! ```text
//!            Request          Attempt, Dead                Answer               Closed
//!  (none) ───────────► Open ───────────────► Attempted ──────────► Answered ──────────► Closed, or nothing
//!                                              or Dead
//! ```
//!
//! The same rules hold while the log is written and when it is read again, in the order of the log. A record copied
//! forward takes the place of itself.
//!
//! A million entries take less than 100 MB: 44 octets each in tables that are at least 44 % full.

use std::collections::{HashMap, hash_map};
use std::hash::{BuildHasher, Hasher};

use super::layout::{LogId, Lsn};
use super::record::{Id, Kind};

/// Where a record is, and how long its payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Location {
    // In halves, so that entries need no room to be aligned.
    lsn: [u32; 2],
    length: u32,
}

impl Location {
    const NONE: Self = Self { lsn: [0; 2], length: 0 };

    pub(crate) fn new(lsn: Lsn, length: u32) -> Self {
        let (high, low) = ((lsn.0 >> 32) & 0xffff_ffff, lsn.0 & 0xffff_ffff);
        Self { lsn: [high, low].map(|half| u32::try_from(half).expect("32 bits were kept")), length }
    }

    /// Where it begins.
    pub fn lsn(self) -> Lsn {
        let [high, low] = self.lsn.map(u64::from);
        Lsn(high << 32 | low)
    }

    /// Octets of its payload.
    pub fn length(self) -> u32 {
        self.length
    }

    fn known(self) -> Option<Self> {
        (self != Self::NONE).then_some(self)
    }
}

/// What has become of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum State {
    /// Submitted.
    Open,
    /// Tried at least once.
    Attempted,
    /// Given up.
    Dead,
    /// Answered.
    Answered,
    /// Closed, and remembered.
    Closed,
}

/// What the log knows of an id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    request: Location,
    latest: Location,
    state: State,
}

impl Entry {
    /// What has become of it.
    pub fn state(&self) -> State {
        self.state
    }

    /// The request, while it is neither answered nor closed.
    pub fn request(&self) -> Option<Location> {
        self.request.known()
    }

    /// The last record about it: of an attempt, its death, the answer, the closing. An open request has none.
    pub fn latest(&self) -> Option<Location> {
        self.latest.known()
    }

    /// The record that an entry cannot do without.
    fn principal(&self) -> Location {
        self.request().unwrap_or(self.latest)
    }

    /// A mark without its request, which was lost.
    fn is_orphan(&self) -> bool {
        self.request().is_none() && matches!(self.state, State::Attempted | State::Dead)
    }
}

/// What a record changed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Change {
    /// Whether it counts.
    pub(crate) counts: bool,
    /// Those that count no longer.
    pub(crate) freed: [Option<Location>; 2],
}

/// Every id that the log knows.
#[derive(Debug)]
pub struct Index {
    // Many small tables grow at different times and in little steps.
    shards: Vec<HashMap<Id, Entry, Keyed>>,
    keyed: Keyed,
    counts: [u64; 5],
}

impl Index {
    pub(crate) fn new(id: LogId) -> Self {
        let keyed = Keyed::new(id);
        Self { shards: (0..SHARDS).map(|_| HashMap::with_hasher(keyed)).collect(), keyed, counts: [0; 5] }
    }

    /// What is known of an id.
    pub fn find(&self, id: &Id) -> Option<&Entry> {
        self.shards.get(self.shard(id))?.get(id)
    }

    /// How many ids are in this state.
    pub fn count(&self, state: State) -> u64 {
        self.counts.get(state as usize).copied().unwrap_or(0)
    }

    /// How many ids are known.
    pub fn len(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// Whether none is.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// All of them, in the order in which their requests (or what is left of them) lie in the log.
    pub fn entries(&self) -> Vec<(Id, Entry)> {
        let mut all: Vec<_> = self.shards.iter().flatten().map(|(id, entry)| (*id, *entry)).collect();
        // The order of a table is chance; the order of places is not.
        all.sort_unstable_by_key(|(_, entry)| entry.principal().lsn());
        all
    }

    /// The record of this id at this place, if it counts.
    pub(crate) fn needs(&self, id: &Id, lsn: Lsn) -> Option<Location> {
        let entry = self.find(id)?;
        [entry.request(), entry.latest()].into_iter().flatten().find(|location| location.lsn() == lsn)
    }

    /// Ids of which a record lies between these places.
    pub(crate) fn within(&self, from: Lsn, to: Lsn) -> Vec<(Id, Entry)> {
        let mut entries = self.entries();
        entries.retain(|(_, entry)| {
            let mut places = [entry.request(), entry.latest()].into_iter().flatten().map(Location::lsn);
            places.any(|lsn| (from..to).contains(&lsn))
        });
        entries
    }

    /// Takes a record in.
    pub(crate) fn apply(&mut self, kind: Kind, id: Id, at: Location) -> Change {
        let mut counts = false;
        let [old, new] = self.replace(id, |old| {
            let new = successor(kind, old, at);
            counts = matches!(new, Some(Some(_)));
            new.unwrap_or(old)
        });
        let locations = |entry: Option<Entry>| entry.map_or([None; 2], |entry| [entry.request(), entry.latest()]);
        let kept = locations(new);
        Change { counts, freed: locations(old).map(|location| location.filter(|_| !kept.contains(&location))) }
    }

    /// Lets go of an id with all its records.
    pub(crate) fn remove(&mut self, id: &Id) -> [Option<Location>; 2] {
        let [old, _] = self.replace(*id, |_| None);
        old.map_or([None; 2], |old| [old.request(), old.latest()])
    }

    /// Lets go of marks whose request was never found.
    pub(crate) fn remove_orphans(&mut self) -> Vec<Location> {
        let orphans: Vec<Id> =
            self.shards.iter().flatten().filter_map(|(id, entry)| entry.is_orphan().then_some(*id)).collect();
        orphans.iter().flat_map(|id| self.remove(id)).flatten().collect()
    }

    /// Puts something else in the place of what is known of an id, and returns both.
    fn replace(&mut self, id: Id, next: impl FnOnce(Option<Entry>) -> Option<Entry>) -> [Option<Entry>; 2] {
        let place = self.shard(&id);
        let Some(shard) = self.shards.get_mut(place) else { return [None; 2] };
        let both = match shard.entry(id) {
            hash_map::Entry::Occupied(mut place) => {
                let old = *place.get();
                let new = next(Some(old));
                match new {
                    Some(new) => drop(place.insert(new)),
                    None => drop(place.remove()),
                }
                [Some(old), new]
            }
            hash_map::Entry::Vacant(place) => {
                let new = next(None);
                if let Some(new) = new {
                    place.insert(new);
                }
                [None, new]
            }
        };
        let [old, new] = both;
        if let Some(count) = old.and_then(|old| self.counts.get_mut(old.state as usize)) {
            *count -= 1;
        }
        if let Some(count) = new.and_then(|new| self.counts.get_mut(new.state as usize)) {
            *count += 1;
        }
        both
    }

    fn shard(&self, id: &Id) -> usize {
        // The tables take the lowest and the highest bits for themselves.
        usize::try_from(self.keyed.hash_one(id) >> 40).unwrap_or(0) % SHARDS
    }
}

/// What a record makes of what was known of its id; `None` where it does not count.
fn successor(kind: Kind, before: Option<Entry>, at: Location) -> Option<Option<Entry>> {
    let entry = |state, request, latest| Some(Some(Entry { request, latest, state }));
    let request = before.map_or(Location::NONE, |old| old.request);
    match (kind, before) {
        (Kind::Commit, _) => None,
        (Kind::Request, Some(old)) if old.state < State::Answered => entry(old.state, at, old.latest),
        (Kind::Request, _) => entry(State::Open, at, Location::NONE),
        (Kind::Attempt | Kind::Dead, Some(old)) if old.state >= State::Answered => None,
        (Kind::Attempt, _) => entry(State::Attempted, request, at),
        (Kind::Dead, _) => entry(State::Dead, request, at),
        (Kind::Answer, Some(Entry { state: State::Closed, .. })) => None,
        (Kind::Answer, _) => entry(State::Answered, Location::NONE, at),
        (Kind::Closed, _) if at.length() == 0 => Some(None),
        (Kind::Closed, _) => entry(State::Closed, Location::NONE, at),
    }
}

/// Hashes with the log's secret: ids come from the network, and whoever could foresee their hashes could make all of
/// them meet in one place.
#[derive(Clone, Copy, Debug)]
struct Keyed {
    keys: [u64; 2],
}

impl Keyed {
    fn new(LogId(octets): LogId) -> Self {
        let [a, b] = halves(octets);
        Self { keys: [folded(a ^ MIXERS[0], b ^ MIXERS[1]), folded(a ^ MIXERS[2], b ^ MIXERS[3])] }
    }
}

impl BuildHasher for Keyed {
    type Hasher = Folded;

    fn build_hasher(&self) -> Folded {
        Folded { keys: self.keys, hash: 0 }
    }
}

struct Folded {
    keys: [u64; 2],
    hash: u64,
}

impl Hasher for Folded {
    fn write(&mut self, octets: &[u8]) {
        let (pieces, rest) = octets.as_chunks();
        pieces.iter().for_each(|piece| self.take(*piece));
        if !rest.is_empty() {
            let mut padded = [0; 16];
            padded.iter_mut().zip(rest).for_each(|(to, from)| *to = *from);
            self.take(padded);
        }
    }

    // The length that std puts in front of an array is always the same.
    fn write_usize(&mut self, _: usize) {}

    fn finish(&self) -> u64 {
        folded(self.hash ^ self.keys[0], MIXERS[0])
    }
}

impl Folded {
    fn take(&mut self, piece: [u8; 16]) {
        let ([a, b], [key_a, key_b]) = (halves(piece), self.keys);
        self.hash = folded(a ^ key_a ^ self.hash, b ^ key_b);
    }
}

/// Both halves of a product, one over the other: each bit of the result depends on all bits of both.
fn folded(a: u64, b: u64) -> u64 {
    let [low, high] = halves((u128::from(a) * u128::from(b)).to_le_bytes());
    low ^ high
}

fn halves(octets: [u8; 16]) -> [u64; 2] {
    let number = u128::from_le_bytes(octets);
    [number, number >> 64].map(|half| u64::try_from(half & u128::from(u64::MAX)).expect("64 bits were kept"))
}

const SHARDS: usize = 256;
/// Numbers without a pattern (the first digits of the hexadecimal fraction of pi), made odd.
const MIXERS: [u64; 4] = [0x243F_6A88_85A3_08D3, 0x1319_8A2E_0370_7345, 0xA409_3822_299F_31D1, 0x082E_FA98_EC4E_6C89];

#[cfg(test)]
mod tests {
    use super::*;

    fn at(lsn: u64) -> Location {
        Location::new(Lsn(lsn), 1)
    }

    fn index() -> Index {
        Index::new(LogId([5; 16]))
    }

    const ID: Id = Id([1; 16]);

    /// The state after these records, at 10, 20, 30 and so on, and what counts no longer.
    fn after(kinds: &[Kind]) -> (Option<State>, Vec<u64>) {
        let mut index = index();
        let mut freed = Vec::new();
        for (place, kind) in (1..).zip(kinds) {
            freed.extend(index.apply(*kind, ID, at(place * 10)).freed.into_iter().flatten().map(|gone| gone.lsn().0));
        }
        (index.find(&ID).map(Entry::state), freed)
    }

    #[test]
    fn a_life_goes_from_open_to_closed_and_frees_what_it_needs_no_longer() {
        use Kind::{Answer, Attempt, Closed, Dead, Request};
        assert_eq!(after(&[Request]), (Some(State::Open), vec![]));
        assert_eq!(after(&[Request, Attempt, Attempt]), (Some(State::Attempted), vec![20]));
        assert_eq!(after(&[Request, Attempt, Dead]), (Some(State::Dead), vec![20]));
        assert_eq!(after(&[Request, Dead, Attempt]), (Some(State::Attempted), vec![20]));
        assert_eq!(after(&[Request, Attempt, Answer]), (Some(State::Answered), vec![10, 20]));
        assert_eq!(after(&[Request, Answer, Closed]), (Some(State::Closed), vec![10, 20]));
        assert_eq!(after(&[Request, Answer, Closed, Request]), (Some(State::Open), vec![10, 20, 30]));
    }

    #[test]
    fn what_comes_after_its_end_does_not_count() {
        use Kind::{Answer, Attempt, Closed, Request};
        assert_eq!(after(&[Request, Answer, Attempt]), (Some(State::Answered), vec![10]));
        assert_eq!(after(&[Request, Closed, Answer]), (Some(State::Closed), vec![10]));
        assert_eq!(after(&[Answer]), (Some(State::Answered), vec![]));
    }

    #[test]
    fn a_copy_takes_the_place_of_what_it_copies_and_nothing_else() {
        use Kind::{Answer, Attempt, Request};
        assert_eq!(after(&[Request, Attempt, Request]), (Some(State::Attempted), vec![10]));
        // The mark is met first when its request was copied behind it.
        assert_eq!(after(&[Attempt, Request]), (Some(State::Attempted), vec![]));
        assert_eq!(after(&[Answer, Answer]), (Some(State::Answered), vec![10]));
    }

    #[test]
    fn an_empty_closing_leaves_nothing_behind() {
        let mut index = index();
        index.apply(Kind::Request, ID, at(10));
        let change = index.apply(Kind::Closed, ID, Location::new(Lsn(20), 0));
        assert_eq!(change, Change { counts: false, freed: [Some(at(10)), None] });
        assert!(index.is_empty() && index.find(&ID).is_none());
    }

    #[test]
    fn marks_without_a_request_are_let_go_and_answers_are_not() {
        let mut index = index();
        index.apply(Kind::Attempt, ID, at(10));
        index.apply(Kind::Answer, Id([2; 16]), at(20));
        assert_eq!(index.remove_orphans(), [at(10)]);
        assert_eq!(index.len(), 1);
    }

    #[test]
    fn entries_come_in_the_order_of_the_log() {
        let mut index = index();
        for lsn in [50, 20, 70, 10] {
            index.apply(Kind::Request, Id([u8::try_from(lsn).unwrap(); 16]), at(lsn));
        }
        let order: Vec<u64> = index.entries().iter().map(|(_, entry)| entry.request().unwrap().lsn().0).collect();
        assert_eq!(order, [10, 20, 50, 70]);
    }

    #[test]
    fn an_entry_with_its_id_has_44_octets_and_ids_spread_over_the_shards() {
        assert_eq!(size_of::<(Id, Entry)>(), 44);
        let mut index = index();
        for number in 0..100_000u128 {
            index.apply(Kind::Request, Id(number.to_le_bytes()), at(10));
        }
        let sizes = index.shards.iter().map(HashMap::len);
        let (least, most) = (sizes.clone().min().unwrap(), sizes.max().unwrap());
        assert!(least > 250 && most < 550, "{least} to {most} of 390");
    }
}
