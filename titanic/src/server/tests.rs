//! The driver at a broker that is played by hand, within the process: disks that fail, and disks that are slow.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test")]

use std::io;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use protocol::mdp::v03::{FromWorker, JobNumber, Options as List, Status as Code, ToWorker, worker};
use protocol::{Frames, PeerId};
use runtime::local::{Event, Host};
use runtime::shutdown::Trigger;
use tokio::task::JoinHandle;

use super::*;
use crate::store::{Sync, Verb};

struct Broker {
    host: Host,
    worker: PeerId,
    events: Vec<Event>,
    jobs: u64,
    /// It has said that it is about to leave.
    is_leaving: bool,
    serving: JoinHandle<Result<(), Error>>,
    trigger: Trigger,
}

impl Broker {
    /// A broker where a Titanic has just registered.
    async fn of<R: Region + Send + 'static>(server: Server<R>) -> Self {
        let host = Host::new(1000, 1 << 20);
        let (trigger, shutdown) = Shutdown::new();
        let serving = tokio::spawn(server.serve_inside(host.entrance(), shutdown));
        let (events, worker) = (Vec::new(), PeerId(0));
        let mut broker = Self { host, worker, events, jobs: 0, is_leaving: false, serving, trigger };
        broker.worker = loop {
            if let (peer, FromWorker::Ready(_)) = broker.hear().await {
                break peer;
            }
        };
        broker.say(ToWorker::Heartbeat(Duration::from_secs(60)));
        broker
    }

    fn say(&mut self, said: ToWorker) {
        assert!(self.host.send(self.worker, said.encode()));
        self.host.flush();
    }

    /// What a worker says next.
    async fn hear(&mut self) -> (PeerId, FromWorker) {
        loop {
            while self.events.is_empty() {
                self.host.recv(&mut self.events).await;
            }
            if let Event::Message { peer, frames } = self.events.remove(0)
                && let Ok(said) = FromWorker::decode(frames)
            {
                self.is_leaving |= matches!(said, FromWorker::Drain(_));
                return (peer, said);
            }
        }
    }

    fn ask(&mut self, body: &'static str) {
        self.jobs += 1;
        let (job, service, options) = (JobNumber(self.jobs), Verb::Request.service().parse().unwrap(), List::none());
        let body = ["echo", body].into();
        let request = worker::Request { job, attempt: 1, remaining: None, id: None, service, options, body };
        self.say(ToWorker::Request(request));
    }

    /// The status of the next answer.
    async fn answer(&mut self) -> String {
        loop {
            if let (_, FromWorker::Final { body, .. }) = self.hear().await {
                return status(&body);
            }
        }
    }

    /// Lets it go once it wants to.
    async fn part(mut self) -> Result<(), Error> {
        while !self.is_leaving {
            self.hear().await;
        }
        self.say(ToWorker::Disconnect(worker::Farewell { status: Code::OK, options: List::none() }));
        self.serving.await.unwrap()
    }
}

fn status(body: &Frames) -> String {
    String::from_utf8(body[0][..3].to_vec()).unwrap()
}

fn log() -> Log<Memory> {
    Log::create(Memory::new(), LogId([7; 16]), &Settings::default(), &mut |_| {}).unwrap()
}

/// A flush that answers as it is told for each turn, and well after them.
fn flush(turns: &'static [fn() -> io::Result<()>]) -> Flush {
    let turn = AtomicUsize::new(0);
    Arc::new(move || turns.get(turn.fetch_add(1, Relaxed)).map_or(Ok(()), |turn| turn()))
}

fn fails() -> io::Result<()> {
    Err(io::Error::other("the disk is gone"))
}

fn is_slow() -> io::Result<()> {
    std::thread::sleep(Duration::from_millis(50));
    Ok(())
}

#[tokio::test]
async fn a_flush_that_fails_is_500_for_everybody_and_an_error_at_the_end_whoever_flushes() {
    // The first flush is the thread's, as nobody knows the disk; the next one is not, unless the first was slow.
    for (turns, well) in [(&[fails as fn() -> _] as &[_], 0), (&[|| Ok(()), fails], 1), (&[is_slow, fails], 1)] {
        let mut broker = Broker::of(Server::over(log(), flush(turns), Config::default())).await;
        for _ in 0..well {
            broker.ask("hello");
            assert_eq!(broker.answer().await, "200");
        }
        for _ in 0..2 {
            broker.ask("hello");
            assert_eq!(broker.answer().await, "500");
        }
        let outcome = broker.part().await;
        assert!(matches!(outcome, Err(Error::Stopped(_))), "{outcome:?}");
    }
}

/// Takes so many writes, and fails from then on: at once, or after half of it.
struct Failing {
    memory: Memory,
    writes: usize,
    kind: io::ErrorKind,
}

impl Region for Failing {
    fn len(&self) -> u64 {
        self.memory.len()
    }

    fn read(&self, offset: u64, into: &mut [u8]) -> io::Result<()> {
        self.memory.read(offset, into)
    }

    fn write(&mut self, offset: u64, octets: &[u8]) -> io::Result<()> {
        if self.writes == 0 {
            self.memory.write(offset, &octets[..octets.len() / 2])?;
            return Err(self.kind.into());
        }
        self.writes -= 1;
        self.memory.write(offset, octets)
    }

    fn resize(&mut self, len: u64, progress: &mut dyn FnMut(u64)) -> io::Result<()> {
        self.memory.resize(len, progress)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn a_write_that_fails_or_is_cut_short_stops_it_as_a_flush_does() {
    for kind in [io::ErrorKind::StorageFull, io::ErrorKind::WriteZero, io::ErrorKind::Other] {
        let whole = log().close().unwrap();
        let region = Failing { memory: whole, writes: 4, kind };
        let (log, _) = Log::open(region, &Settings::default(), &mut |_| {}).unwrap();
        let mut broker = Broker::of(Server::over(log, flush(&[]), Config::default())).await;
        let mut statuses = Vec::new();
        while statuses.iter().filter(|status| *status == "500").count() < 2 {
            broker.ask("hello");
            statuses.push(broker.answer().await);
        }
        assert!(statuses.is_sorted(), "never 200 after a 500: {statuses:?}");
        let outcome = broker.part().await;
        assert!(matches!(&outcome, Err(Error::Stopped(Stopped(found))) if *found == kind), "{outcome:?}");
    }
}

#[tokio::test]
async fn all_that_comes_while_a_slow_disk_flushes_shares_the_next_flush() {
    let mut broker = Broker::of(Server::over(log(), Arc::new(is_slow), Config::default())).await;
    broker.ask("first");
    let begun = std::time::Instant::now();
    (0..100).for_each(|_| broker.ask("one of many"));
    for _ in 0..101 {
        assert_eq!(broker.answer().await, "200");
    }
    // A flush for each would take five seconds.
    assert!(begun.elapsed() < Duration::from_secs(3), "{:?}", begun.elapsed());
    broker.trigger.pull();
    assert!(broker.part().await.is_ok());
}

/// [`Sync::Within`] asks for its flush last of all.
#[tokio::test]
async fn in_memory_nothing_is_flushed_and_everybody_is_answered_before_the_end() {
    for sync in [Sync::Always, Sync::Within(Duration::from_secs(3600))] {
        let config = Config { sync, ..Config::default() };
        let mut broker = Broker::of(Server::in_memory(&Settings::default(), config).unwrap()).await;
        for _ in 0..3 {
            (0..100).for_each(|_| broker.ask("one of many"));
            for _ in 0..100 {
                assert_eq!(broker.answer().await, "200");
            }
        }
        (0..100).for_each(|_| broker.ask("the last"));
        broker.trigger.pull();
        for _ in 0..100 {
            assert_eq!(broker.answer().await, "200");
        }
        assert!(broker.part().await.is_ok());
    }
}

#[tokio::test]
async fn with_a_later_flush_the_acknowledgement_does_not_wait_and_the_end_does() {
    static FLUSHES: AtomicUsize = AtomicUsize::new(0);
    let flush: Flush = Arc::new(|| {
        FLUSHES.fetch_add(1, Relaxed);
        Ok(())
    });
    let config = Config { sync: Sync::Within(Duration::from_secs(3600)), ..Config::default() };
    let mut broker = Broker::of(Server::over(log(), flush, config)).await;
    broker.ask("hello");
    assert_eq!((broker.answer().await.as_str(), FLUSHES.load(Relaxed)), ("200", 0));
    broker.trigger.pull();
    assert!(broker.part().await.is_ok());
    assert!(FLUSHES.load(Relaxed) >= 1);
}
