//! Who may come in: public keys and users, each with its rights. A table never changes; a new one takes its place.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use protocol::Rights;
use runtime::zmtp::{Admission, Credentials, Decision, Principal, Proof, PublicKey, Refusal, same_secret};
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
    password: Arc<Password>,
    rights: Arc<Rights>,
}

/// A password. It is zeroed when dropped, and never shown.
struct Password(Zeroizing<Vec<u8>>);

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
            let user = User { password: Arc::new(Password(password)), rights: Arc::new(rights) };
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

    /// The rights of a peer that was let in, by this table or by one before it; `None` when it may not be here. A
    /// password that has changed was changed for a reason: who came in with the old one does not stay.
    pub fn rights(&self, principal: &Principal) -> Option<&Arc<Rights>> {
        match &principal.proof {
            Proof::Nothing => None,
            Proof::Key(key) => self.keys.get(key),
            Proof::User(name) => {
                let shown = principal.admission.data.as_ref()?.downcast_ref::<Password>()?;
                self.user(name, &shown.0).map(|user| &user.rights)
            }
        }
    }

    /// Whether these credentials may come in (RFC 27).
    pub fn decide(&self, credentials: &Credentials<'_>) -> Decision {
        let admission = match credentials {
            Credentials::Null => None,
            Credentials::Curve(key) => {
                self.keys.get(key).map(|rights| Admission { name: Arc::clone(&rights.name), data: None })
            }
            Credentials::Plain { username, password } => self.user(username, password).map(User::admission),
        };
        admission.map_or(Decision::Refuse(Refusal::Denied), Decision::Allow)
    }

    /// A name that nobody has costs a comparison, too: how long an answer takes does not tell who has an account.
    fn user(&self, name: &[u8], password: &[u8]) -> Option<&User> {
        let user = self.users.get(name);
        let is_same = same_secret(user.map_or(password, |user| &user.password.0), password);
        user.filter(|_| is_same)
    }
}

impl User {
    /// The password goes along, to be compared with what the user's password is later.
    fn admission(&self) -> Admission {
        let password: Arc<Password> = Arc::clone(&self.password);
        Admission { name: Arc::clone(&self.rights.name), data: Some(password) }
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
