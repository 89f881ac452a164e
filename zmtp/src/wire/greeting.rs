//! The greeting of ZMTP 3.x and how an older peer is told apart (RFC 37, "Greeting" and "Backwards Interoperability").
//!
//! ```text
//!   0      1..9       9     10     11     12..32      32         33..64
//!   FF     padding    7F    major  minor  mechanism   as-server  zeros
//!   └──── signature ────┘
//! ```
//!
//! The padding and as-server are never checked: libzmq sends a length in the one and zero in the other whatever it is.

use crate::security::mechanism::Mechanism;
use crate::wire::fault::Fault;
use crate::wire::socket_type::printable;

/// Octets of the signature.
pub(crate) const SIGNATURE_BYTES: usize = 10;
/// Octets after the major version.
pub(crate) const REST_BYTES: usize = 53;

/// The major version that we announce, in the octet after the signature.
pub(crate) const MAJOR: u8 = 3;
const MINOR: u8 = 1;

/// What we send before we know how old the peer is: signature and major version.
pub(crate) const OPENING: [u8; SIGNATURE_BYTES + 1] = [0xff, 0, 0, 0, 0, 0, 0, 0, 0, 0x7f, MAJOR];

/// Which protocol the octet after the signature announces.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Generation {
    /// ZMTP 2.0, in its own form.
    Second,
    /// ZMTP 3.x.
    Third,
}

/// Looks at as much of the signature as has come. A ZMTP 1.0 peer starts with the length of its identity frame.
pub(crate) fn check_signature(received: &[u8]) -> Result<(), Fault> {
    match received.first() {
        None | Some(0xff) => {}
        Some(_) => return Err(Fault::Signature),
    }
    match received.get(SIGNATURE_BYTES - 1) {
        Some(octet) if octet & 1 == 0 => Err(Fault::Version(1)),
        _ => Ok(()),
    }
}

/// Reads the octet after the signature.
pub(crate) fn generation(major: u8) -> Result<Generation, Fault> {
    match major {
        0 => Err(Fault::Version(1)),
        1 | 2 => Ok(Generation::Second),
        _ => Ok(Generation::Third),
    }
}

/// Our greeting after the major version.
pub(crate) fn put_rest(output: &mut Vec<u8>, mechanism: &Mechanism) {
    output.push(MINOR);
    output.extend_from_slice(&mechanism.greeting_name());
    output.push(u8::from(mechanism.is_server()));
    output.extend_from_slice(&[0; REST_BYTES - 22]);
}

/// Reads the peer's greeting after the major version: its minor version, if its mechanism is ours.
pub(crate) fn parse_rest(rest: &[u8; REST_BYTES], mechanism: &Mechanism) -> Result<u8, Fault> {
    let (minor, rest) = rest.split_first().expect("an array of 53 octets has a first");
    let name = rest.get(..20).expect("an array of 53 octets has 20 after the first");
    if name != mechanism.greeting_name() {
        let end = name.iter().position(|&octet| octet == 0).unwrap_or(name.len());
        return Err(Fault::Mechanism(printable(name.get(..end).unwrap_or(name))));
    }
    Ok(*minor)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Captured from libzmq 4.3.5.
    fn golden() -> Vec<u8> {
        let mut greeting = vec![0xff, 0, 0, 0, 0, 0, 0, 0, 0, 0x7f, 3, 1, 0x4e, 0x55, 0x4c, 0x4c];
        greeting.resize(64, 0);
        greeting
    }

    #[test]
    fn our_greeting_is_the_one_of_libzmq() {
        let mut output = OPENING.to_vec();
        put_rest(&mut output, &Mechanism::Null);
        assert_eq!(output, golden());
    }

    #[test]
    fn padding_and_as_server_are_not_checked() {
        let mut greeting = golden();
        greeting[1..9].copy_from_slice(&[0xaa; 8]);
        greeting[32] = 1;
        assert_eq!(check_signature(&greeting), Ok(()));
        assert_eq!(parse_rest(greeting[11..].try_into().unwrap(), &Mechanism::Null), Ok(1));
    }

    #[test]
    fn another_mechanism_is_refused_by_its_name() {
        let mut greeting = golden();
        greeting[12..17].copy_from_slice(b"CURVE");
        let rest = greeting[11..].try_into().unwrap();
        assert_eq!(parse_rest(rest, &Mechanism::Null), Err(Fault::Mechanism("CURVE".into())));
        let mut greeting = golden();
        greeting[16] = b'X';
        let rest = greeting[11..].try_into().unwrap();
        assert_eq!(parse_rest(rest, &Mechanism::Null), Err(Fault::Mechanism("NULLX".into())));
    }

    #[test]
    fn a_version_1_peer_is_told_by_its_first_or_its_tenth_octet() {
        assert_eq!(check_signature(&[0x01]), Err(Fault::Signature));
        assert_eq!(check_signature(b"GET / HTTP/1.1"), Err(Fault::Signature));
        assert_eq!(check_signature(&[0xff, 0, 0, 0, 0, 0, 0, 0, 1, 0]), Err(Fault::Version(1)));
        assert_eq!(check_signature(&[0xff, 0, 0]), Ok(()), "too early to tell");
        assert_eq!(generation(0), Err(Fault::Version(1)));
    }

    #[test]
    fn one_and_two_are_the_second_generation_and_all_above_the_third() {
        assert_eq!((generation(1), generation(2)), (Ok(Generation::Second), Ok(Generation::Second)));
        assert_eq!((generation(3), generation(200)), (Ok(Generation::Third), Ok(Generation::Third)));
    }
}
