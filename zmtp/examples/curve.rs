//! What CURVE costs in processor time, without any socket: handshakes a second on one core for either side, and
//! nanoseconds to encrypt and to decrypt a message of one frame, in batches as the sockets make them.
//!
//! `cargo run --release -p zmtp --example curve -- [handshakes]`
#![allow(clippy::print_stdout, reason = "its whole purpose")]

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use protocol::Frames;
use zmtp::curve::{Cookies, Fresh, KeyPair, SEED_BYTES, SecretKey, Session};
use zmtp::{Cursor, Decoder, Fault, Handshake, KEY_BYTES, Local, Mechanism, Outbox, Sink, SocketType};

type Outcome<T> = Result<T, Box<dyn std::error::Error>>;

/// Octets sealed for each size.
const VOLUME_BYTES: usize = 64 << 20;

fn main() -> Outcome<()> {
    let count = std::env::args().nth(1).map_or(Ok(5000), |count| count.parse())?;
    let (client, server) = (pair()?, pair()?);
    let cookies = Arc::new(Cookies::default());
    cookies.turn(protocol::Instant::ZERO, random)?;
    let (mut of_client, mut of_server) = (Duration::ZERO, Duration::ZERO);
    for number in 0..count {
        let sides = shake(&client, &server, number, &cookies)?;
        of_client += sides.0;
        of_server += sides.1;
    }
    let rate = |spent: Duration| f64::from(u32::try_from(count).unwrap_or(u32::MAX)) / spent.as_secs_f64();
    println!("handshakes a second: server {:.0}, client {:.0}", rate(of_server), rate(of_client));
    for octets in [64, 1 << 10, 4 << 10, 16 << 10, 64 << 10, 1 << 20] {
        let (sealed, opened) = pass(sessions(&client, &server, &cookies)?, octets)?;
        println!("{octets} octets: {sealed:.0} ns to encrypt, {opened:.0} ns to decrypt and decode");
    }
    Ok(())
}

fn random() -> Result<[u8; KEY_BYTES], getrandom::Error> {
    let mut octets = [0; KEY_BYTES];
    getrandom::fill(&mut octets).map(|()| octets)
}

fn pair() -> Outcome<Arc<KeyPair>> {
    Ok(Arc::new(KeyPair::new(SecretKey::from(random()?))))
}

fn side(socket_type: SocketType, mechanism: Mechanism, number: u64, cookies: &Arc<Cookies>) -> Outcome<Handshake> {
    let mut seed = [0; SEED_BYTES];
    getrandom::fill(&mut seed)?;
    let local = Local { socket_type, identity: Bytes::new(), domain: String::new(), mechanism };
    Ok(Handshake::fresh(local, Fresh::new(seed, number, Arc::clone(cookies))))
}

fn both(
    client: &Arc<KeyPair>,
    server: &Arc<KeyPair>,
    number: u64,
    cookies: &Arc<Cookies>,
) -> Outcome<(Handshake, Handshake)> {
    let mechanism = Mechanism::CurveClient { keys: Arc::clone(client), server: server.public };
    let client = side(SocketType::Dealer, mechanism, number, cookies)?;
    Ok((client, side(SocketType::Router, Mechanism::CurveServer(Arc::clone(server)), number, cookies)?))
}

/// One handshake from the first octet to the last; the time that each side took.
fn shake(
    client: &Arc<KeyPair>,
    server: &Arc<KeyPair>,
    number: u64,
    cookies: &Arc<Cookies>,
) -> Outcome<(Duration, Duration)> {
    let (mut client, mut server) = both(client, server, number, cookies)?;
    talk(&mut client, &mut server)
}

fn talk(client: &mut Handshake, server: &mut Handshake) -> Outcome<(Duration, Duration)> {
    let (mut of_client, mut of_server) = (Duration::ZERO, Duration::ZERO);
    loop {
        let said = client.take_output();
        let start = Instant::now();
        server.feed(&said, &mut 0)?;
        of_server += start.elapsed();
        let said = server.take_output();
        let start = Instant::now();
        let done = client.feed(&said, &mut 0)?;
        of_client += start.elapsed();
        if done.is_some() {
            return Ok((of_client, of_server));
        }
    }
}

fn sessions(client: &Arc<KeyPair>, server: &Arc<KeyPair>, cookies: &Arc<Cookies>) -> Outcome<(Session, Session)> {
    let (mut client, mut server) = both(client, server, 0, cookies)?;
    talk(&mut client, &mut server)?;
    Ok((client.take_session().ok_or("a session")?, server.take_session().ok_or("a session")?))
}

/// Counts and drops.
#[derive(Default)]
struct Counter(usize);

impl Sink for Counter {
    fn message(&mut self, _frames: Frames) {
        self.0 += 1;
    }

    fn command(&mut self, _body: &[u8]) -> Result<(), Fault> {
        Ok(())
    }

    fn is_full(&self) -> bool {
        false
    }
}

/// Nanoseconds to encrypt and to decrypt a message of so many octets.
fn pass((client, server): (Session, Session), octets: usize) -> Outcome<(f64, f64)> {
    let messages_max = 64 << 20;
    let ((_, mut outbound), (mut inbound, _)) = (client.split(messages_max), server.split(messages_max));
    let (mut outbox, mut decoder, mut counter) =
        (Outbox::default(), Decoder::new(messages_max, 16, true), Counter::default());
    let count = (VOLUME_BYTES / octets).min(200_000);
    (0..count).for_each(|_| outbox.push(&Frames::from([Bytes::from(vec![7; octets])])));
    let (mut sealing, mut opening, mut cursor) = (Duration::ZERO, Duration::ZERO, Cursor::default());
    while counter.0 < count {
        let start = Instant::now();
        cursor = outbound.seal(&outbox, cursor);
        sealing += start.elapsed();
        let mut batch = outbound.unwritten().to_vec();
        outbound.advance(batch.len());
        let start = Instant::now();
        let opened = inbound.open(&mut batch)?;
        decoder.decode(batch.get(..opened.plain).unwrap_or_default(), &mut counter)?;
        inbound.finish_large(&mut decoder, &mut counter)?;
        opening += start.elapsed();
    }
    let each = |spent: Duration| spent.as_secs_f64() * 1e9 / f64::from(u32::try_from(count).unwrap_or(u32::MAX));
    Ok((each(sealing), each(opening)))
}
