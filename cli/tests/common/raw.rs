//! A ZMTP peer of a hundred lines on a blocking socket: says what it is told to, well-formed or not.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

/// A connection that may be at any stage.
pub struct Raw {
    pub stream: TcpStream,
}

impl Raw {
    /// Connects and says nothing.
    pub fn connect(endpoint: &str) -> Self {
        let stream = TcpStream::connect(endpoint.strip_prefix("tcp://").unwrap()).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        stream.set_nodelay(true).unwrap();
        Self { stream }
    }

    /// Connects and finishes the handshake as a DEALER.
    pub fn dealer(endpoint: &str) -> Self {
        Self::dealer_as(endpoint, b"")
    }

    /// The same, under an identity.
    pub fn dealer_as(endpoint: &str, identity: &[u8]) -> Self {
        let mut raw = Self::connect(endpoint);
        raw.write(&greeting());
        raw.write(&ready(identity));
        let mut theirs = [0; 64];
        raw.stream.read_exact(&mut theirs).unwrap();
        assert_eq!((theirs[0], theirs[9], theirs[10]), (0xff, 0x7f, 3));
        let (flags, body) = raw.read_frame();
        assert_eq!((flags & 4, body.get(..6)), (4, Some(&b"\x05READY"[..])));
        raw
    }

    pub fn write(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).unwrap();
    }

    pub fn send(&mut self, frames: &[&[u8]]) {
        self.write(&message(frames));
    }

    /// One frame: flags and body.
    pub fn read_frame(&mut self) -> (u8, Vec<u8>) {
        let mut head = [0; 2];
        self.stream.read_exact(&mut head).unwrap();
        let mut size = u64::from(head[1]);
        if head[0] & 2 != 0 {
            let mut rest = [0; 7];
            self.stream.read_exact(&mut rest).unwrap();
            size = rest.iter().fold(size, |size, byte| size << 8 | u64::from(*byte));
        }
        let mut body = vec![0; usize::try_from(size).unwrap()];
        self.stream.read_exact(&mut body).unwrap();
        (head[0], body)
    }

    /// One message; commands in between are passed over.
    pub fn receive(&mut self) -> Vec<Vec<u8>> {
        let mut frames = Vec::new();
        loop {
            let (flags, body) = self.read_frame();
            if flags & 4 != 0 {
                continue;
            }
            frames.push(body);
            if flags & 1 == 0 {
                return frames;
            }
        }
    }

    /// Whether the other side has closed, waiting for it.
    pub fn is_closed(&mut self) -> bool {
        let mut rest = Vec::new();
        match self.stream.read_to_end(&mut rest) {
            Ok(_) => true,
            Err(error) => error.kind() == std::io::ErrorKind::ConnectionReset,
        }
    }
}

pub fn greeting() -> [u8; 64] {
    let mut greeting = [0; 64];
    greeting[0] = 0xff;
    greeting[9] = 0x7f;
    greeting[10] = 3;
    greeting[12..16].copy_from_slice(b"NULL");
    greeting
}

pub fn ready(identity: &[u8]) -> Vec<u8> {
    let mut body = b"\x05READY\x0bSocket-Type\0\0\0\x06DEALER\x08Identity".to_vec();
    body.extend(u32::try_from(identity.len()).unwrap().to_be_bytes());
    body.extend(identity);
    [&[4, u8::try_from(body.len()).unwrap()][..], &body].concat()
}

/// A message's frames with their flags and sizes.
pub fn message(frames: &[&[u8]]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (number, frame) in frames.iter().enumerate() {
        let more = u8::from(number + 1 < frames.len());
        match u8::try_from(frame.len()) {
            Ok(size) => bytes.extend([more, size]),
            Err(_) => {
                bytes.push(more | 2);
                bytes.extend((frame.len() as u64).to_be_bytes());
            }
        }
        bytes.extend(*frame);
    }
    bytes
}

/// A request of MDP 0.1.
pub fn request(service: &[u8], body: &[u8]) -> Vec<u8> {
    message(&[b"", b"MDPC01", service, body])
}
