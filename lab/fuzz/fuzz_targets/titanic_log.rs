//! Opening a log of Titanic. No octets may make it panic; what it opens can be read, gives no body that fails its
//! checksums, goes on, and is the same log when it is opened again.
//!
//! ```text
//! input:  mode (1)  rest
//!   0  the rest is the whole file
//!   1  a log in order with octets changed: { place (2)  octet (1) } *
//!   2  a log in order with fields changed whose checksums are made right again: { what (1)  field (1)  value (8) } *
//! ```
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use titanic::log::checkpoint::CHECKPOINT_BYTES;
use titanic::log::chunk::HEAD_BYTES;
use titanic::log::record::HEADER_BYTES;
use titanic::log::{Geometry, Id, Kind, Log, LogId, Memory, Settings, parts};

const SECRET: LogId = LogId([0x5a; 16]);

static SAMPLE: LazyLock<Sample> = LazyLock::new(Sample::new);

/// A log in order, and what in it has a checksum: where, how many octets, and whether it begins with the secret.
struct Sample {
    octets: Vec<u8>,
    sums: Vec<(usize, usize, bool)>,
}

impl Sample {
    fn new() -> Self {
        let mut log = Log::create(Memory::new(), SECRET, &settings(), &mut |_| {}).expect("memory has room");
        for number in 0..40u8 {
            let id = Id([number; 16]);
            log.append(Kind::Request, id, &vec![number; usize::from(number) * 150]).expect("there is room");
            let kind = [Kind::Attempt, Kind::Dead, Kind::Answer, Kind::Closed, Kind::Closed][usize::from(number % 5)];
            log.append(kind, id, &[number; 20]).expect("there is room");
            if number % 3 == 0 {
                log.flush().expect("memory does not fail");
            }
        }
        let region = log.close().expect("memory does not fail");
        let (parts, extents) = parts(&region).expect("the log is in order");
        let mut sums = vec![(0, CHECKPOINT_BYTES, false), (512, CHECKPOINT_BYTES, false)];
        for extent in extents {
            let place = usize::try_from(extent.offset).unwrap();
            sums.extend([(place, HEAD_BYTES, true), (place + 4096 - 512, HEAD_BYTES, true)]);
        }
        let places = parts.iter().map(|part| usize::try_from(part.offset).unwrap());
        sums.extend(places.map(|place| (place, HEADER_BYTES as usize, true)));
        Self { octets: region.octets().to_vec(), sums }
    }

    /// Changes a field, and makes its checksum right.
    fn forge(&self, octets: &mut [u8], what: u8, field: u8, value: [u8; 8]) {
        let (place, length, sealed) = self.sums[usize::from(what) % self.sums.len()];
        let Some(all) = octets.get_mut(place..place + length) else { return };
        let (fields, sum) = all.split_at_mut(length - 4);
        let field = usize::from(field) % (fields.len() / 4) * 4;
        let count = 8.min(fields.len() - field);
        fields[field..field + count].copy_from_slice(&value[..count]);
        let begin = if sealed { crc32fast::hash(&SECRET.0) } else { 0 };
        let mut hasher = crc32fast::Hasher::new_with_initial(begin);
        hasher.update(fields);
        sum.copy_from_slice(&hasher.finalize().to_le_bytes());
    }
}

fn settings() -> Settings {
    let geometry = Geometry::new(512, 4096).expect("these sizes are within their ranges");
    let (capacity_bytes, initial_bytes) = (geometry.file_bytes(64), geometry.file_bytes(2));
    Settings { capacity_bytes, initial_bytes, geometry: Some(geometry) }
}

fuzz_target!(|input: &[u8]| {
    let Some((mode, rest)) = input.split_first() else { return };
    let mut octets = SAMPLE.octets.clone();
    match mode % 3 {
        0 => octets = rest.to_vec(),
        1 => rest.chunks_exact(3).for_each(|change| {
            let place = usize::from(change[0]) << 8 | usize::from(change[1]);
            octets.get_mut(place).into_iter().for_each(|octet| *octet = change[2]);
        }),
        _ => rest.chunks_exact(10).for_each(|change| {
            let value = change[2..].try_into().expect("eight octets are left");
            SAMPLE.forge(&mut octets, change[0], change[1], value);
        }),
    }
    open(octets);
});

fn open(octets: Vec<u8>) {
    let before = octets.clone();
    let viewed = Log::view(Memory::of(octets.clone()), &mut |_| {});
    // A geometry of its own may need more capacity than there is here.
    let capacity = Settings { capacity_bytes: 1 << 34, ..settings() };
    let Ok((mut log, report)) = Log::open(Memory::of(octets), &capacity, &mut |_| {}) else { return };
    let (view, seen) = viewed.expect("what can be opened can be looked into");
    assert_eq!((view.entries(), &seen), (log.entries(), &report));
    assert_eq!(view.region().octets(), before);
    for (id, entry) in log.entries() {
        for location in [entry.request(), entry.latest()].into_iter().flatten() {
            if let Ok(body) = log.read(&id, location) {
                assert_eq!(body.len(), usize::try_from(location.length()).unwrap());
            }
        }
    }
    let id = Id([0xee; 16]);
    if log.append(Kind::Answer, id, b"and it goes on").is_err() {
        return;
    }
    log.flush().expect("memory does not fail");
    let region = log.close().expect("memory does not fail");
    let (log, _) = Log::open(region, &capacity, &mut |_| {}).expect("what was closed can be opened");
    let latest = log.find(&id).and_then(|entry| entry.latest()).expect("what was flushed is there");
    assert_eq!(&log.read(&id, latest).expect("and can be read")[..], b"and it goes on");
}
