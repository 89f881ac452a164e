//! The box of NaCl: X25519, XSalsa20 and Poly1305, in place. The only file that knows whose code that is.

use dryoc::classic::crypto_box::{
    crypto_box_beforenm, crypto_box_detached_afternm_inplace, crypto_box_open_detached_afternm_inplace,
};
use dryoc::classic::crypto_core::{crypto_core_hsalsa20, crypto_scalarmult_base};
use zeroize::Zeroizing;

use super::keys::SecretKey;
use crate::security::public_key::{KEY_BYTES, PublicKey};

/// What a box adds to its content: the authenticator, in front.
pub(super) const MAC_BYTES: usize = 16;
const NONCE_BYTES: usize = 24;

/// The nonce of a box.
pub(super) type Nonce = [u8; NONCE_BYTES];

/// A key that both sides of a box know. It is zeroed when dropped.
#[derive(Clone)]
pub(super) struct SharedKey(Zeroizing<[u8; KEY_BYTES]>);

impl SharedKey {
    /// What `ours` and `theirs` agree on; `None` for a public key that would make it known to everybody (a point of
    /// low order). It costs a scalar multiplication, some 25 microseconds.
    pub(super) fn agree(theirs: &PublicKey, ours: &SecretKey) -> Option<Self> {
        crypto_box_beforenm(theirs.as_bytes(), ours.as_bytes()).ok().map(|key| Self(Zeroizing::new(key)))
    }

    /// A key that nobody shares, for boxes to ourselves.
    pub(super) fn own(key: [u8; KEY_BYTES]) -> Self {
        Self(Zeroizing::new(key))
    }

    /// Another key, which tells nothing of this one: HSalsa20 of it and `input`.
    pub(super) fn derive(&self, input: &[u8; 16]) -> Self {
        let mut key = Zeroizing::new([0; KEY_BYTES]);
        crypto_core_hsalsa20(&mut key, input, &self.0, None);
        Self(key)
    }

    /// Encrypts `content` in place; returns the authenticator that goes in front of it.
    pub(super) fn seal(&self, content: &mut [u8], nonce: &Nonce) -> [u8; MAC_BYTES] {
        let mut mac = [0; MAC_BYTES];
        crypto_box_detached_afternm_inplace(content, &mut mac, nonce, &self.0);
        mac
    }

    /// Decrypts a box, authenticator in front, in place; `None` when it was not made with this key and nonce. The
    /// comparison takes the same time wherever they differ.
    pub(super) fn open<'a>(&self, sealed: &'a mut [u8], nonce: &Nonce) -> Option<&'a mut [u8]> {
        let (mac, content) = sealed.split_first_chunk_mut()?;
        crypto_box_open_detached_afternm_inplace(content, mac, nonce, &self.0).ok()?;
        Some(content)
    }

    /// Adds a box of `content` to `output`.
    pub(super) fn put_box(&self, output: &mut Vec<u8>, content: &[u8], nonce: &Nonce) {
        let start = output.len();
        output.extend_from_slice(&[0; MAC_BYTES]);
        output.extend_from_slice(content);
        let (mac, content) = output
            .get_mut(start..)
            .and_then(<[u8]>::split_first_chunk_mut::<MAC_BYTES>)
            .expect("the authenticator was added above");
        *mac = self.seal(content, nonce);
    }
}

impl std::fmt::Debug for SharedKey {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("SharedKey")
    }
}

/// The public key that belongs to a secret one.
pub(super) fn public_key(secret: &SecretKey) -> PublicKey {
    let mut public = [0; KEY_BYTES];
    crypto_scalarmult_base(&mut public, secret.as_bytes());
    public.into()
}

/// The nonce of a box that carries a counter: RFC 26 gives each kind of command its own first 16 octets.
pub(super) fn short_nonce(prefix: &[u8; 16], count: u64) -> Nonce {
    let mut nonce = [0; NONCE_BYTES];
    let (front, back) = nonce.split_first_chunk_mut().expect("24 octets have 16 in front");
    *front = *prefix;
    back.copy_from_slice(&count.to_be_bytes());
    nonce
}

/// The nonce of a box that carries 16 octets of its own.
pub(super) fn long_nonce(prefix: &[u8; 8], rest: &[u8; 16]) -> Nonce {
    let mut nonce = [0; NONCE_BYTES];
    let (front, back) = nonce.split_first_chunk_mut().expect("24 octets have 8 in front");
    *front = *prefix;
    back.copy_from_slice(rest);
    nonce
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_box_opens_with_the_same_key_and_nonce_and_with_no_other() {
        let key = SharedKey::own([1; KEY_BYTES]);
        let mut sealed = Vec::new();
        key.put_box(&mut sealed, b"content", &[2; NONCE_BYTES]);
        assert_eq!(sealed.len(), MAC_BYTES + 7);
        assert_eq!(SharedKey::own([3; KEY_BYTES]).open(&mut sealed.clone(), &[2; NONCE_BYTES]), None);
        assert_eq!(key.open(&mut sealed.clone(), &[3; NONCE_BYTES]), None);
        assert_eq!(key.derive(&[0; 16]).open(&mut sealed.clone(), &[2; NONCE_BYTES]), None);
        assert_eq!(key.open(&mut sealed.clone()[..MAC_BYTES - 1], &[2; NONCE_BYTES]), None);
        for bit in 0..sealed.len() * 8 {
            let mut flipped = sealed.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(key.open(&mut flipped, &[2; NONCE_BYTES]), None, "bit {bit}");
        }
        assert_eq!(key.open(&mut sealed, &[2; NONCE_BYTES]).unwrap(), b"content");
    }

    #[test]
    fn a_public_key_of_low_order_agrees_on_nothing() {
        let one = std::array::from_fn(|place| u8::from(place == 0));
        for public in [[0; KEY_BYTES], one] {
            assert!(SharedKey::agree(&public.into(), &SecretKey::from([7; KEY_BYTES])).is_none());
        }
    }
}
