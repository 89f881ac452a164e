//! Who may come in: public keys and users, each with its rights. A table is made once and never changes; a new one takes
//! its place.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use protocol::Rights;
use runtime::zmtp::{Admission, Credentials, Decision, Proof, PublicKey, Refusal, same_secret};
use zeroize::Zeroizing;

/// The peers that may come in. Its maps are asked about what strangers show, so they are hashed with a secret.
#[derive(Clone, Debug, Default)]
pub struct Peers {
    keys: HashMap<PublicKey, Arc<Rights>>,
    users: HashMap<Bytes, User>,
}

/// A user of PLAIN.
#[derive(Clone)]
struct User {
    password: Arc<Zeroizing<Vec<u8>>>,
    rights: Arc<Rights>,
}

impl Peers {
    /// Lets a key in; `false` when it is there already.
    pub fn add_key(&mut self, key: PublicKey, rights: Rights) -> bool {
        let rights = Rights { credential: Some(format!("key {key}").into()), ..rights };
        let is_new = !self.keys.contains_key(&key);
        if is_new {
            self.keys.insert(key, Arc::new(rights));
        }
        is_new
    }

    /// Lets a user in who knows the password; `false` when the user is there already.
    pub fn add_user(&mut self, name: &str, password: Zeroizing<Vec<u8>>, rights: Rights) -> bool {
        let rights = Rights { credential: Some(format!("user {name}").into()), ..rights };
        let is_new = !self.users.contains_key(name.as_bytes());
        if is_new {
            let user = User { password: Arc::new(password), rights: Arc::new(rights) };
            self.users.insert(Bytes::copy_from_slice(name.as_bytes()), user);
        }
        is_new
    }

    /// Keys and users.
    pub fn len(&self) -> usize {
        self.keys() + self.users()
    }

    /// Public keys: of use to a socket that speaks CURVE.
    pub fn keys(&self) -> usize {
        self.keys.len()
    }

    /// Users: of use to a socket that speaks PLAIN.
    pub fn users(&self) -> usize {
        self.users.len()
    }

    /// Whether nobody may come in.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The rights of a peer that has proved who it is; `None` when it may not come in.
    pub fn rights(&self, proof: &Proof) -> Option<&Arc<Rights>> {
        match proof {
            Proof::Nothing => None,
            Proof::Key(key) => self.keys.get(key),
            Proof::User(name) => self.users.get(name).map(|user| &user.rights),
        }
    }

    /// The rights of a peer that came in by the table `before`; `None` when it may stay no longer. A password that has
    /// changed was changed for a reason: who came in with the old one does not stay.
    pub fn rights_since(&self, before: &Self, proof: &Proof) -> Option<&Arc<Rights>> {
        if let Proof::User(name) = proof {
            let (old, new) = (before.users.get(name)?, self.users.get(name)?);
            if !same_secret(&old.password, &new.password) {
                return None;
            }
        }
        self.rights(proof)
    }

    /// Whether these credentials may come in (RFC 27).
    pub fn decide(&self, credentials: &Credentials<'_>) -> Decision {
        let rights = match credentials {
            Credentials::Null => None,
            Credentials::Curve(key) => self.keys.get(key),
            Credentials::Plain { username, password } => self.user(username, password),
        };
        match rights {
            Some(rights) => Decision::Allow(Admission { name: Arc::clone(&rights.name), data: None }),
            None => Decision::Refuse(Refusal::Denied),
        }
    }

    /// A name that nobody has costs a comparison, too: how long an answer takes does not tell who has an account.
    fn user(&self, username: &[u8], password: &[u8]) -> Option<&Arc<Rights>> {
        let user = self.users.get(username);
        let is_same = same_secret(user.map_or(password, |user| &user.password), password);
        user.filter(|_| is_same).map(|user| &user.rights)
    }
}

/// The rights of a peer that may do everything and has a name.
pub(super) fn everything(name: &str) -> Rights {
    Rights { name: Arc::from(name), ..Rights::everything() }
}

impl fmt::Debug for User {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("User").field("rights", &self.rights).finish_non_exhaustive()
    }
}
