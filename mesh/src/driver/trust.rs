//! Who we are, and whose company we keep, in a mesh that speaks CURVE.

use std::sync::Arc;

use protocol::zre::Beacon;
use runtime::zmtp::curve::KeyPair;
use runtime::zmtp::{Admission, Authority, Credentials, Decision, Mechanism, Principal, Proof, PublicKey, Refusal};

use crate::config::Key;

/// Our keys, and whose we accept. Clones are the same.
#[derive(Clone)]
pub struct Trust {
    keys: Arc<KeyPair>,
    is_accepted: Arc<dyn Fn(&PublicKey) -> bool + Send + Sync>,
}

impl Trust {
    /// With these keys, and with everybody who has some: strangers on the wire cannot listen, and can take part.
    pub fn everybody(keys: Arc<KeyPair>) -> Self {
        Self::of(keys, |_| true)
    }

    /// With these keys, and with those alone whose public key is accepted. That is asked again and again, and may
    /// change: for whoever comes from then on.
    pub fn of(keys: Arc<KeyPair>, is_accepted: impl Fn(&PublicKey) -> bool + Send + Sync + 'static) -> Self {
        Self { keys, is_accepted: Arc::new(is_accepted) }
    }

    /// Our public key, for beacons.
    pub(super) fn public(&self) -> Key {
        *self.keys.public.as_bytes()
    }

    /// How we listen.
    pub(super) fn listening(&self) -> (Mechanism, Authority) {
        let trust = self.clone();
        let authority = Authority::new(move |applicant| match applicant.credentials {
            Credentials::Curve(key) if trust.accepts(key) => Decision::Allow(Admission::default()),
            _ => Decision::Refuse(Refusal::Denied),
        });
        (Mechanism::CurveServer(Arc::clone(&self.keys)), authority)
    }

    /// How we speak to the owner of a key; `None` to somebody whose company we do not keep.
    pub(super) fn towards(&self, key: Option<Key>) -> Option<Mechanism> {
        let server = PublicKey::from(key?);
        self.accepts(server).then(|| Mechanism::CurveClient { keys: Arc::clone(&self.keys), server })
    }

    /// Whether a datagram is worth a thought: what is no beacon is for the machine to count.
    pub(super) fn may_come(&self, octets: &[u8]) -> bool {
        let key = Beacon::decode(octets).ok().and_then(|beacon| beacon.key);
        key.is_none_or(|key| self.accepts(PublicKey::from(key)))
    }

    fn accepts(&self, key: PublicKey) -> bool {
        (self.is_accepted)(&key)
    }
}

impl std::fmt::Debug for Trust {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Trust").field("key", &self.keys.public).finish_non_exhaustive()
    }
}

/// What a peer has proved.
pub(super) fn key_of(principal: &Principal) -> Option<Key> {
    match &principal.proof {
        Proof::Key(key) => Some(*key.as_bytes()),
        Proof::Nothing | Proof::User(_) => None,
    }
}
