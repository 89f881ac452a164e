//! Where a connection's handshake meets its socket: the fresh octets that it needs, and the questions that it asks.

use std::net::IpAddr;
use std::sync::Arc;

use bytes::Bytes;
use zeroize::Zeroizing;

use crate::security::authority::{Admission, Applicant, Credentials, Decision, Gate, Proof, Refusal};
use crate::security::curve::{Fresh, SEED_BYTES};
use crate::security::mechanism::Mechanism;
use crate::socket::link::Shared;
use crate::wire::handshake::{Handshake, Local};
use crate::wire::socket_type::SocketType;

/// The gate of a socket, for one connection.
struct Door {
    shared: Arc<Shared>,
    address: Option<IpAddr>,
}

impl Gate for Door {
    fn decide(&self, credentials: &Credentials<'_>) -> Decision {
        let options = &self.shared.options;
        match (&options.authority, credentials) {
            (Some(authority), &credentials) => {
                authority.decide(&Applicant { credentials, address: self.address, domain: &options.domain })
            }
            // Nobody knows any password.
            (None, Credentials::Plain { .. }) => Decision::Refuse(Refusal::Denied),
            (None, _) => Decision::Allow(Admission::default()),
        }
    }

    fn may_be_called(&self, identity: &Bytes, proof: &Proof) -> bool {
        // Where nobody proves anything, the newest connection of an identity wins.
        *proof == Proof::Nothing || self.shared.identities.claim(identity, proof)
    }
}

/// The handshake of connection `number`, from `address`.
///
/// # Errors
/// When the system has no random octets.
pub(crate) fn handshake(
    shared: &Arc<Shared>,
    socket_type: SocketType,
    number: u64,
    address: Option<IpAddr>,
) -> Result<Handshake, getrandom::Error> {
    let options = &shared.options;
    let (identity, domain, mechanism) = (options.identity.clone(), options.domain.clone(), options.mechanism.clone());
    let asks = mechanism.is_server() || is_asked_about_null(shared, socket_type);
    let is_curve = mechanism.is_curve();
    let local = Local { socket_type, identity, domain, mechanism };
    let handshake = if is_curve {
        let mut seed = Zeroizing::new([0; SEED_BYTES]);
        getrandom::fill(&mut *seed)?;
        Handshake::fresh(local, Fresh::new(*seed, number, Arc::clone(&shared.cookies)))
    } else {
        Handshake::new(local)
    };
    if asks {
        return Ok(handshake.guarded_by(Arc::new(Door { shared: Arc::clone(shared), address })));
    }
    Ok(handshake)
}

/// Over NULL nobody is the server: whoever listens asks.
fn is_asked_about_null(shared: &Shared, socket_type: SocketType) -> bool {
    let is_null = matches!(shared.options.mechanism, Mechanism::Null);
    is_null && socket_type == SocketType::Router && shared.options.authority.is_some()
}
