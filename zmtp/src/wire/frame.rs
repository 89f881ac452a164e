//! The head of a frame: flags and size.
//!
//! ```text
//!   flags(1)                      size(1 or 8)                body(size)
//!   bit 0 MORE, bit 1 LONG,       8 octets when LONG
//!   bit 2 COMMAND, others zero
//! ```

use crate::wire::fault::Fault;

/// A parsed head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Head {
    /// Another frame of the same message follows.
    pub(crate) more: bool,
    /// The body is a command, not part of a message.
    pub(crate) command: bool,
    /// Octets of the body, as claimed.
    pub(crate) size: u64,
    /// Octets of the head itself.
    pub(crate) length: usize,
}

/// The longest head.
pub(crate) const HEAD_BYTES_MAX: usize = 9;

const MORE: u8 = 1;
const LONG: u8 = 2;
const COMMAND: u8 = 4;

impl Head {
    /// Reads a head; `None` when the input ends before it does.
    pub(crate) fn parse(input: &[u8]) -> Result<Option<Self>, Fault> {
        let Some((&flags, rest)) = input.split_first() else { return Ok(None) };
        if flags & !(MORE | LONG | COMMAND) != 0 || flags & (MORE | COMMAND) == MORE | COMMAND {
            return Err(Fault::Flags(flags));
        }
        let (size, length) = if flags & LONG == 0 {
            let Some(&size) = rest.first() else { return Ok(None) };
            (u64::from(size), 2)
        } else {
            let Some(&size) = rest.first_chunk() else { return Ok(None) };
            (u64::from_be_bytes(size), HEAD_BYTES_MAX)
        };
        Ok(Some(Self { more: flags & MORE != 0, command: flags & COMMAND != 0, size, length }))
    }
}

impl Head {
    /// Writes the head to the front of `output`, which must have room for it; returns its length.
    #[cfg(feature = "curve")]
    pub(crate) fn put(&self, output: &mut [u8]) -> usize {
        let flags = (u8::from(self.more) * MORE) | (u8::from(self.command) * COMMAND);
        let long = self.size.to_be_bytes();
        let short = [flags, long[7]];
        let mut head = [flags | LONG; HEAD_BYTES_MAX];
        for (octet, size) in head.iter_mut().skip(1).zip(long) {
            *octet = size;
        }
        let head = if self.size <= u64::from(u8::MAX) { &short[..] } else { &head[..] };
        for (octet, value) in output.iter_mut().zip(head) {
            *octet = *value;
        }
        head.len()
    }
}

/// The length of the head of a frame with so many octets.
#[cfg(feature = "curve")]
pub(crate) fn head_bytes(size: usize) -> usize {
    if u8::try_from(size).is_ok() { 2 } else { HEAD_BYTES_MAX }
}

/// Writes the head of a message frame.
pub(crate) fn put_message_head(output: &mut Vec<u8>, size: usize, more: bool) {
    put_head(output, size, u8::from(more) * MORE);
}

/// Writes the head of a command frame.
pub(crate) fn put_command_head(output: &mut Vec<u8>, size: usize) {
    put_head(output, size, COMMAND);
}

fn put_head(output: &mut Vec<u8>, size: usize, flags: u8) {
    match u8::try_from(size) {
        Ok(short) => output.extend_from_slice(&[flags, short]),
        Err(_) => {
            output.push(flags | LONG);
            output.extend_from_slice(&(size as u64).to_be_bytes());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heads_of_every_form_round_trip() {
        for (size, more) in [(0, false), (255, true), (256, false), (70_000, true)] {
            let mut output = Vec::new();
            put_message_head(&mut output, size, more);
            let head = Head::parse(&output).unwrap().unwrap();
            assert_eq!(head, Head { more, command: false, size: size as u64, length: output.len() });
            for cut in 0..output.len() {
                assert_eq!(Head::parse(&output[..cut]), Ok(None), "a head cut at {cut} is not a fault");
            }
        }
    }

    #[test]
    fn reserved_bits_and_more_on_a_command_are_refused_at_the_first_octet() {
        for flags in [0x08, 0x10, 0x20, 0x40, 0x80, 0x05, 0x07, 0xff] {
            assert_eq!(Head::parse(&[flags]), Err(Fault::Flags(flags)));
        }
    }

    #[test]
    fn a_long_head_may_carry_a_short_size() {
        let head = Head::parse(&[2, 0, 0, 0, 0, 0, 0, 0, 5]).unwrap().unwrap();
        assert_eq!((head.size, head.length), (5, 9));
    }
}
