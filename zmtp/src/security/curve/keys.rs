//! Secret keys: zeroed when dropped, compared in constant time, never shown by accident.

use std::fmt;
use std::str::FromStr;

use subtle::ConstantTimeEq;
use zeroize::{Zeroize, Zeroizing};

use super::crypto;
use crate::security::public_key::{self, KEY_BYTES, KEY_CHARACTERS, KeyError, PublicKey};

/// A secret key. It has no `Display`, and its `Debug` tells nothing; [`to_z85`](Self::to_z85) shows it on purpose.
#[derive(Clone)]
pub struct SecretKey([u8; KEY_BYTES]);

/// A secret key and the public one that belongs to it.
#[derive(Clone, Debug)]
pub struct KeyPair {
    /// Who we are; for everybody.
    pub public: PublicKey,
    /// What proves it.
    pub secret: SecretKey,
}

impl KeyPair {
    /// The pair of a secret key: 32 octets from a random source fit for keys, or a key that was made earlier.
    pub fn new(secret: SecretKey) -> Self {
        Self { public: crypto::public_key(&secret), secret }
    }
}

impl SecretKey {
    /// The key's octets.
    pub(super) fn as_bytes(&self) -> &[u8; KEY_BYTES] {
        &self.0
    }

    /// The key as text for a key file; zeroed when dropped.
    pub fn to_z85(&self) -> Zeroizing<String> {
        // Room for all of it at once: text that grew would leave copies behind.
        let mut text = Zeroizing::new(String::with_capacity(KEY_CHARACTERS));
        public_key::encode(&self.0, &mut text);
        text
    }
}

impl From<[u8; KEY_BYTES]> for SecretKey {
    fn from(octets: [u8; KEY_BYTES]) -> Self {
        Self(octets)
    }
}

impl FromStr for SecretKey {
    type Err = KeyError;

    fn from_str(text: &str) -> Result<Self, KeyError> {
        let mut key = Self([0; KEY_BYTES]);
        public_key::decode(text, &mut key.0)?;
        Ok(key)
    }
}

impl PartialEq for SecretKey {
    fn eq(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl Eq for SecretKey {}

impl Drop for SecretKey {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl fmt::Debug for SecretKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("SecretKey")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pair_of_libzmqs_manual_belongs_together() {
        let secret: SecretKey = "JTKVSB%%)wK0E.X)V>+}o?pNmC{O&4W4b!Ni{Lh6".parse().unwrap();
        let pair = KeyPair::new(secret.clone());
        assert_eq!(pair.public.to_string(), "rq:rM>}U?@Lns47E1%kR.o@n%FcmmsL/@{H8]yf7");
        assert_eq!(&*secret.to_z85(), "JTKVSB%%)wK0E.X)V>+}o?pNmC{O&4W4b!Ni{Lh6");
        assert_eq!(pair.secret, secret);
        assert_ne!(pair.secret, SecretKey::from([0; KEY_BYTES]));
    }

    #[test]
    fn no_secret_is_shown_by_debug() {
        let pair = KeyPair::new(SecretKey::from([0x5a; KEY_BYTES]));
        assert_eq!(format!("{:?}", pair.secret), "SecretKey");
        assert_eq!(format!("{pair:?}"), format!("KeyPair {{ public: {:?}, secret: SecretKey }}", pair.public));
    }
}
