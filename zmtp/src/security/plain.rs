//! PLAIN (RFC 24): a name and a password, in clear text. For networks where nobody listens, and for local sockets.
//!
//! ```text
//!   client ── HELLO     length(1) name length(1) password ──► server      asks its gate
//!   client ◄─ WELCOME                                     ─── server      or ERROR, or silence
//!   client ── INITIATE  metadata                          ──► server
//!   client ◄─ READY     metadata                          ─── server      or ERROR
//! ```

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use zeroize::Zeroizing;

use crate::security::authority::{Credentials, Principal, Proof, Refusal};
use crate::security::exchange::{Accepted, Exchange, Terms, admit, deny};
use crate::wire::command;
use crate::wire::fault::Fault;

/// What a client shows: at most 255 octets each. The password is zeroed when dropped and never shown.
#[derive(Clone)]
pub struct Login {
    username: Bytes,
    password: Zeroizing<Vec<u8>>,
}

/// A name or a password that PLAIN cannot carry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field} of {length} bytes (allowed: up to {LOGIN_BYTES_MAX})")]
pub struct LoginError {
    field: &'static str,
    length: usize,
}

/// Octets of a name or a password, by the width of their length.
pub const LOGIN_BYTES_MAX: usize = 255;

impl Login {
    /// A name and its password.
    ///
    /// # Errors
    /// When one of them is longer than [`LOGIN_BYTES_MAX`].
    pub fn new(username: impl Into<Bytes>, password: impl Into<Vec<u8>>) -> Result<Self, LoginError> {
        let (username, password) = (username.into(), Zeroizing::new(password.into()));
        for (field, length) in [("user name", username.len()), ("password", password.len())] {
            if length > LOGIN_BYTES_MAX {
                return Err(LoginError { field, length });
            }
        }
        Ok(Self { username, password })
    }
}

impl fmt::Debug for Login {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Login({})", self.username.escape_ascii())
    }
}

/// The client's side.
#[derive(Debug)]
pub(crate) struct Client {
    login: Arc<Login>,
    welcome: bool,
}

impl Client {
    pub(crate) fn new(login: Arc<Login>) -> Self {
        Self { login, welcome: false }
    }
}

impl Exchange for Client {
    /// libzmq's server writes the name of ERROR as `^RROR`, without its length: `"\x5ERROR"` in C is not what it looks
    /// like. Seen with libzmq 4.3.5; its client knows no other form, and takes ours for a broken rule.
    fn split<'a>(&self, command: &'a [u8]) -> Option<(&'a [u8], &'a [u8])> {
        match command.strip_prefix(b"^RROR") {
            Some(data) => Some((b"ERROR", data)),
            None => command::split_prefixed(command),
        }
    }

    fn begin(&mut self, terms: &mut Terms<'_>) -> Result<(), Fault> {
        let mut hello = Zeroizing::new(Vec::with_capacity(2 * (1 + LOGIN_BYTES_MAX)));
        command::put_prefixed(&mut hello, &self.login.username);
        command::put_prefixed(&mut hello, &self.login.password);
        command::put(terms.output, b"HELLO", &hello);
        Ok(())
    }

    fn on_command(&mut self, name: &[u8], data: &[u8], terms: &mut Terms<'_>) -> Result<Option<Vec<u8>>, Fault> {
        match (self.welcome, name) {
            (false, b"WELCOME") if data.is_empty() => {
                self.welcome = true;
                command::put(terms.output, b"INITIATE", terms.metadata);
                Ok(None)
            }
            (false, b"WELCOME") => Err(Fault::Command("WELCOME")),
            (true, b"READY") => Ok(Some(data.to_vec())),
            (_, b"ERROR") => Err(command::refusal(data)),
            _ => Err(Fault::Unexpected("command")),
        }
    }

    fn accept(&mut self, _terms: &mut Terms<'_>) -> Accepted {
        Accepted::default()
    }
}

/// The server's side.
#[derive(Debug, Default)]
pub(crate) struct Server {
    principal: Option<Arc<Principal>>,
}

impl Server {
    fn on_hello(&mut self, data: &[u8], terms: &mut Terms<'_>) -> Result<(), Fault> {
        let (username, data) = command::split_prefixed(data).ok_or(Fault::Command("HELLO"))?;
        let (password, rest) = command::split_prefixed(data).ok_or(Fault::Command("HELLO"))?;
        if !rest.is_empty() {
            return Err(Fault::Command("HELLO"));
        }
        if terms.gate.is_none() {
            // Nobody knows any password.
            return Err(deny(Refusal::Denied, terms.output));
        }
        let proof = Proof::User(Bytes::copy_from_slice(username));
        self.principal = Some(admit(&Credentials::Plain { username, password }, proof, terms)?);
        command::put(terms.output, b"WELCOME", b"");
        Ok(())
    }
}

impl Exchange for Server {
    fn on_command(&mut self, name: &[u8], data: &[u8], terms: &mut Terms<'_>) -> Result<Option<Vec<u8>>, Fault> {
        match (&self.principal, name) {
            (None, b"HELLO") => self.on_hello(data, terms).map(|()| None),
            (Some(_), b"INITIATE") => Ok(Some(data.to_vec())),
            _ => Err(Fault::Unexpected("command")),
        }
    }

    fn principal(&self) -> Option<&Principal> {
        self.principal.as_deref()
    }

    fn accept(&mut self, terms: &mut Terms<'_>) -> Accepted {
        command::put(terms.output, b"READY", terms.metadata);
        Accepted::in_the_clear(self.principal.take())
    }

    fn refuse(&mut self, reason: &str, output: &mut Vec<u8>) {
        command::put_error(output, reason);
    }
}

#[cfg(test)]
#[path = "plain_tests.rs"]
mod tests;
