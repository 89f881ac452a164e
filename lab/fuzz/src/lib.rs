//! What the CURVE targets share: two sides with keys that everybody knows, so that a fuzzer gets past the encryption
//! and reaches what lies behind it.

use std::sync::{Arc, LazyLock};

use bytes::Bytes;
use dryoc::classic::crypto_box::{crypto_box_beforenm, crypto_box_easy_afternm};
use protocol::{Frames, Instant};
use zmtp::curve::{Cookies, Fresh, Inbound, KeyPair, SEED_BYTES, SecretKey};
use zmtp::{Decoder, Fault, Handshake, KEY_BYTES, Local, Mechanism, Peer, Sink, SocketType};

/// How a handshake went: how it ended, and what we said.
pub type Course = (Result<Option<Peer>, Fault>, Vec<u8>);

/// Frames and octets of a message that the readers here take.
pub const MESSAGE_BYTES_MAX: usize = 1 << 20;
/// What may be set aside at once for a large frame of which little has come.
pub const STEP_BYTES: usize = 64 << 10;

const CLIENT: u8 = 1;
const SERVER: u8 = 2;
const CLIENT_SEED: u8 = 0x31;
const SERVER_SEED: u8 = 0x53;

/// An honest handshake of the two, command by command, and its key.
pub struct Honest {
    pub hello: Vec<u8>,
    pub welcome: Vec<u8>,
    pub initiate: Vec<u8>,
    pub ready: Vec<u8>,
    /// Client and server, after HELLO: the key of WELCOME.
    pub early: [u8; KEY_BYTES],
    /// Client and server, after WELCOME.
    pub session: [u8; KEY_BYTES],
}

/// They are the same on every run.
pub static HONEST: LazyLock<Honest> = LazyLock::new(|| {
    let (mut client, mut server) = (client(), server());
    let hello = said_to(&mut client, &greeting()).split_off(64);
    let welcome = said_to(&mut server, &[&greeting()[..], &hello].concat()).split_off(64);
    let initiate = said_to(&mut client, &welcome);
    let ready = said_to(&mut server, &initiate);
    let agree = |public: &KeyPair| {
        crypto_box_beforenm(public.public.as_bytes(), &[CLIENT_SEED; KEY_BYTES]).expect("a key of ours is in order")
    };
    let (early, session) = (agree(&keys(SERVER)), agree(&keys(SERVER_SEED)));
    Honest { hello, welcome, initiate, ready, early, session }
});

/// A CURVE client that knows the server.
pub fn client() -> Handshake {
    let mechanism = Mechanism::CurveClient { keys: keys(CLIENT), server: keys(SERVER).public };
    side(SocketType::Dealer, mechanism, CLIENT_SEED)
}

/// A CURVE server that lets every key in.
pub fn server() -> Handshake {
    side(SocketType::Router, Mechanism::CurveServer(keys(SERVER)), SERVER_SEED)
}

/// The greeting that both send.
pub fn greeting() -> [u8; 64] {
    let mut greeting = [0; 64];
    (greeting[0], greeting[9], greeting[10], greeting[11]) = (0xff, 0x7f, 3, 1);
    greeting[12..17].copy_from_slice(b"CURVE");
    greeting
}

/// A command as a whole frame.
pub fn command(name: &[u8], data: &[u8]) -> Vec<u8> {
    let body = [&[u8::try_from(name.len()).expect("a short name")], name, data].concat();
    let head = match u8::try_from(body.len()) {
        Ok(size) => vec![4, size],
        Err(_) => [&[6][..], &(body.len() as u64).to_be_bytes()].concat(),
    };
    [head, body].concat()
}

/// A MESSAGE with this inside, flags first, as a whole frame.
pub fn message(side: u8, count: u64, content: &[u8]) -> Vec<u8> {
    let mut prefix = *b"CurveZMQMESSAGE.";
    prefix[15] = side;
    let sealed = sealed(&HONEST.session, &short_nonce(&prefix, count), content);
    let mut frame = command(b"MESSAGE", &[&count.to_be_bytes()[..], &sealed].concat());
    frame[0] &= !4;
    frame
}

/// A box with this inside.
pub fn sealed(key: &[u8; KEY_BYTES], nonce: &[u8; 24], content: &[u8]) -> Vec<u8> {
    let mut output = vec![0; content.len() + 16];
    crypto_box_easy_afternm(&mut output, content, nonce, key).expect("the output has room");
    output
}

pub fn short_nonce(prefix: &[u8; 16], count: u64) -> [u8; 24] {
    [&prefix[..], &count.to_be_bytes()].concat().try_into().expect("16 and 8")
}

/// Feeds `stream` in pieces.
pub fn shake(handshake: &mut Handshake, stream: &[u8], cut: usize) -> Course {
    let (mut said, mut waiting) = (handshake.take_output(), Vec::new());
    for piece in stream.chunks(cut.max(1)) {
        waiting.extend_from_slice(piece);
        let mut consumed = 0;
        let step = handshake.feed(&waiting, &mut consumed);
        said.extend(handshake.take_output());
        waiting.drain(..consumed);
        if !matches!(step, Ok(None)) {
            return (step, said);
        }
    }
    (Ok(None), said)
}

/// The reading side of an honest handshake's client.
pub fn client_reader() -> Inbound {
    let mut client = client();
    said_to(&mut client, &[&greeting()[..], &HONEST.welcome, &HONEST.ready].concat());
    reader(client)
}

/// The reading side of an honest handshake's server.
pub fn server_reader() -> Inbound {
    let mut server = server();
    said_to(&mut server, &[&greeting()[..], &HONEST.hello, &HONEST.initiate].concat());
    reader(server)
}

fn reader(mut handshake: Handshake) -> Inbound {
    handshake.take_session().expect("both were honest").split(MESSAGE_BYTES_MAX).0
}

/// Keeps what was decoded.
#[derive(Default, PartialEq, Debug)]
pub struct Kept {
    pub messages: Vec<Frames>,
    pub commands: Vec<Vec<u8>>,
}

impl Sink for Kept {
    fn message(&mut self, frames: Frames) {
        self.messages.push(frames);
    }

    fn command(&mut self, body: &[u8]) -> Result<(), Fault> {
        self.commands.push(body.to_vec());
        Ok(())
    }

    fn is_full(&self) -> bool {
        false
    }
}

/// Decrypts and decodes `stream` in pieces; never holds much more than has come.
pub fn read(mut inbound: Inbound, stream: &[u8], cut: usize) -> (Result<(), Fault>, Kept) {
    let (mut decoder, mut waiting, mut kept) = (Decoder::new(MESSAGE_BYTES_MAX, 64, true), Vec::new(), Kept::default());
    let mut come = 0;
    for piece in stream.chunks(cut.max(1)) {
        come += piece.len();
        let read = read_piece(&mut inbound, &mut decoder, &mut waiting, piece, &mut kept);
        assert!(inbound.held_bytes() + waiting.len() <= 2 * come + STEP_BYTES);
        if read.is_err() {
            return (read, kept);
        }
    }
    (Ok(()), kept)
}

fn read_piece(
    inbound: &mut Inbound,
    decoder: &mut Decoder,
    waiting: &mut Vec<u8>,
    mut piece: &[u8],
    kept: &mut Kept,
) -> Result<(), Fault> {
    while !piece.is_empty() {
        if let Some(mut room) = inbound.large_room() {
            let (direct, rest) = piece.split_at(piece.len().min(bytes::BufMut::remaining_mut(&room)));
            bytes::BufMut::put_slice(&mut room, direct);
            piece = rest;
            inbound.finish_large(decoder, kept)?;
            continue;
        }
        waiting.extend_from_slice(piece);
        piece = &[];
        let opened = inbound.open(waiting)?;
        assert!(opened.plain <= opened.consumed && opened.consumed <= waiting.len());
        let done = decoder.decode(&waiting[..opened.plain], kept)?;
        assert_eq!(done, opened.plain);
        waiting.drain(..opened.consumed);
    }
    Ok(())
}

/// Made once: it is a multiplication, and a run has but few of those to spend.
fn keys(secret: u8) -> Arc<KeyPair> {
    static KEYS: LazyLock<[Arc<KeyPair>; 3]> = LazyLock::new(|| {
        [CLIENT, SERVER, SERVER_SEED].map(|secret| Arc::new(KeyPair::new(SecretKey::from([secret; KEY_BYTES]))))
    });
    match secret {
        CLIENT => Arc::clone(&KEYS[0]),
        SERVER => Arc::clone(&KEYS[1]),
        _ => Arc::clone(&KEYS[2]),
    }
}

fn side(socket_type: SocketType, mechanism: Mechanism, seed: u8) -> Handshake {
    let cookies = Arc::new(Cookies::default());
    cookies.turn(Instant::ZERO, || Ok::<_, ()>([0xcc; KEY_BYTES])).expect("there is a key");
    let local = Local { socket_type, identity: Bytes::from_static(b"me"), domain: String::new(), mechanism };
    Handshake::fresh(local, Fresh::new([seed; SEED_BYTES], 1, cookies))
}

fn said_to(handshake: &mut Handshake, input: &[u8]) -> Vec<u8> {
    handshake.feed(input, &mut 0).expect("both are honest");
    handshake.take_output()
}
