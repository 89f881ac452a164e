//! Keys, options and authorities for tests of PLAIN and CURVE.

use std::sync::Arc;

use zmtp::curve::{KeyPair, SecretKey};
use zmtp::{
    Admission, Authority, Credentials, Decision, KEY_BYTES, Login, Mechanism, Options, PublicKey, Refusal, same_secret,
};

use super::options;

/// A pair of keys, the same for the same number.
pub fn keys(number: u8) -> Arc<KeyPair> {
    Arc::new(KeyPair::new(SecretKey::from([number; KEY_BYTES])))
}

/// The server of most tests has number 1.
pub fn server_key() -> PublicKey {
    keys(1).public
}

pub fn curve_server() -> Options {
    Options { mechanism: Mechanism::CurveServer(keys(1)), ..options() }
}

/// A client with the keys of a number, for the server with number 1.
pub fn curve_client(number: u8) -> Options {
    let mechanism = Mechanism::CurveClient { keys: keys(number), server: server_key() };
    Options { mechanism, ..options() }
}

pub fn plain_client(username: &str, password: &str) -> Options {
    let login = Login::new(username.to_owned(), password).unwrap();
    Options { mechanism: Mechanism::PlainClient(Arc::new(login)), ..options() }
}

/// Lets in admin with the password secret; busy is told to come back later.
pub fn plain_server() -> Options {
    let authority = Authority::new(|applicant| match applicant.credentials {
        Credentials::Plain { username: b"admin", password } if same_secret(password, b"secret") => allow("admin"),
        Credentials::Plain { username: b"busy", .. } => Decision::Refuse(Refusal::Later),
        _ => Decision::Refuse(Refusal::Denied),
    });
    Options { mechanism: Mechanism::PlainServer, authority: Some(authority), ..options() }
}

/// Lets in the keys of these numbers, each under its number.
pub fn only(numbers: &'static [u8]) -> Authority {
    Authority::new(move |applicant| {
        let Credentials::Curve(key) = applicant.credentials else { return Decision::Refuse(Refusal::Failed) };
        let known = numbers.iter().find(|number| keys(**number).public == key);
        known.map_or(Decision::Refuse(Refusal::Denied), |number| allow(&format!("key {number}")))
    })
}

pub fn allow(name: &str) -> Decision {
    Decision::Allow(Admission { name: Arc::from(name), data: None })
}
