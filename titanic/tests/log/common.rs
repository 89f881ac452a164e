//! A small log, and short ways to talk to it.

use titanic::log::{Geometry, Id, Kind, Log, LogId, Lsn, Memory, Recovery, Region, Settings, State};

pub(crate) const SECRET: LogId = LogId([0x5a; 16]);

/// Chunks of 4 KiB, of which 3 KiB are for records, and no more than `chunks` of them.
pub(crate) fn settings(chunks: u32) -> Settings {
    let geometry = Geometry::new(512, 4096).unwrap();
    Settings {
        capacity_bytes: geometry.file_bytes(chunks),
        initial_bytes: geometry.file_bytes(2),
        geometry: Some(geometry),
    }
}

pub(crate) fn new(chunks: u32) -> Log<Memory> {
    Log::create(Memory::new(), SECRET, &settings(chunks), &mut |_| {}).unwrap()
}

/// What another process would find in the same octets.
pub(crate) fn reopened<R: Region>(region: R, chunks: u32) -> (Log<R>, Recovery) {
    Log::open(region, &settings(chunks), &mut |_| {}).unwrap()
}

pub(crate) fn id(number: u8) -> Id {
    Id([number; 16])
}

pub(crate) fn request<R: Region>(log: &mut Log<R>, number: u8, payload: &[u8]) -> Lsn {
    log.append(Kind::Request, id(number), payload).unwrap()
}

pub(crate) fn state<R: Region>(log: &Log<R>, number: u8) -> Option<State> {
    log.find(&id(number)).map(titanic::log::Entry::state)
}

/// The payload of the request, or of the last record when there is none.
pub(crate) fn body<R: Region>(log: &Log<R>, number: u8) -> Vec<u8> {
    let entry = log.find(&id(number)).unwrap();
    let location = entry.request().or(entry.latest()).unwrap();
    log.read(&id(number), location).unwrap().to_vec()
}
