//! What every mechanism is between the greeting and READY: a machine that answers commands with commands.
//!
//! The mechanisms differ in how a peer proves itself and in what travels in the clear. The metadata at the end is the
//! same for all, so it is read in one place, [`crate::wire::handshake`]: a mechanism hands it out and waits for
//! `accept` or `refuse`.

use std::fmt::Debug;
use std::sync::Arc;

use crate::security::authority::{Admission, Credentials, Decision, Gate, Principal, Proof, Refusal};
use crate::wire::command;
use crate::wire::fault::Fault;

/// A mechanism at work on one connection.
pub(crate) trait Exchange: Debug + Send {
    /// The greetings fit: whoever speaks first does.
    fn begin(&mut self, _terms: &mut Terms<'_>) -> Result<(), Fault> {
        Ok(())
    }

    /// The name of a command and what follows it.
    fn split<'a>(&self, command: &'a [u8]) -> Option<(&'a [u8], &'a [u8])> {
        command::split_prefixed(command)
    }

    /// A command of the peer; its metadata if that was the last one.
    fn on_command(&mut self, name: &[u8], data: &[u8], terms: &mut Terms<'_>) -> Result<Option<Vec<u8>>, Fault>;

    /// Who the peer is, once its metadata is there, on the side that asks.
    fn principal(&self) -> Option<&Principal> {
        None
    }

    /// The metadata is in order: the last word, if it is ours.
    fn accept(&mut self, terms: &mut Terms<'_>) -> Accepted;

    /// Tells the peer why it is not wanted, on the side that may.
    fn refuse(&mut self, _reason: &str, _output: &mut Vec<u8>) {}
}

/// What a mechanism works with.
pub(crate) struct Terms<'a> {
    /// What is to be written to the peer.
    pub(crate) output: &'a mut Vec<u8>,
    /// Our metadata.
    pub(crate) metadata: &'a [u8],
    /// Whom to ask about the peer.
    pub(crate) gate: Option<&'a dyn Gate>,
}

/// What comes of a handshake besides the metadata.
#[derive(Debug, Default)]
pub(crate) struct Accepted {
    /// Who the peer is, if the mechanism or the gate can tell.
    pub(crate) principal: Option<Arc<Principal>>,
    /// What protects the traffic, if something does.
    #[cfg(feature = "curve")]
    pub(crate) session: Option<crate::security::curve::Session>,
}

impl Accepted {
    /// Of a mechanism that protects nothing.
    pub(crate) fn in_the_clear(principal: Option<Arc<Principal>>) -> Self {
        Self {
            principal,
            #[cfg(feature = "curve")]
            session: None,
        }
    }
}

/// Asks the gate about a peer. Without a gate everybody is let in; a mechanism that cannot check credentials itself
/// must not come here without one. A peer that is kept out for good is told so, as libzmq tells it: with the status.
pub(crate) fn admit(
    credentials: &Credentials<'_>,
    proof: Proof,
    terms: &mut Terms<'_>,
) -> Result<Arc<Principal>, Fault> {
    let decision = terms.gate.map_or_else(|| Decision::Allow(Admission::default()), |gate| gate.decide(credentials));
    match decision {
        Decision::Allow(admission) => Ok(Arc::new(Principal { proof, admission })),
        Decision::Refuse(refusal) => Err(deny(refusal, terms.output)),
    }
}

/// Keeps a peer out.
pub(crate) fn deny(refusal: Refusal, output: &mut Vec<u8>) -> Fault {
    if refusal != Refusal::Later {
        command::put_error(output, &refusal.status().to_string());
    }
    Fault::Denied(refusal.status())
}

/// NULL (RFC 37): both say READY and wait for nothing.
#[derive(Debug, Default)]
pub(crate) struct Null {
    principal: Option<Arc<Principal>>,
}

impl Exchange for Null {
    fn begin(&mut self, terms: &mut Terms<'_>) -> Result<(), Fault> {
        if terms.gate.is_some() {
            self.principal = Some(admit(&Credentials::Null, Proof::Nothing, terms)?);
        }
        command::put(terms.output, b"READY", terms.metadata);
        Ok(())
    }

    fn on_command(&mut self, name: &[u8], data: &[u8], _terms: &mut Terms<'_>) -> Result<Option<Vec<u8>>, Fault> {
        match name {
            b"READY" => Ok(Some(data.to_vec())),
            b"ERROR" => Err(command::refusal(data)),
            _ => Err(Fault::Unexpected("command")),
        }
    }

    fn accept(&mut self, _terms: &mut Terms<'_>) -> Accepted {
        Accepted::in_the_clear(self.principal.take())
    }

    fn refuse(&mut self, reason: &str, output: &mut Vec<u8>) {
        command::put_error(output, reason);
    }
}
