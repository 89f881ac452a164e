//! Why a server did not let us in, in words that help whoever reads them.

use zmtp::{Fault, Mechanism, Options};

/// What stood in the way of a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The reason, and where to look.
    pub reason: String,
    /// Whether the next attempt meets it again, unless somebody changes something.
    pub is_lasting: bool,
}

impl Refusal {
    /// Reads `fault` as the end of a handshake made with `options`.
    pub fn new(fault: &Fault, options: &Options) -> Self {
        let advice = advice(fault, &options.mechanism);
        let said = match fault {
            Fault::Refused(reason) => reason.clone(),
            other => other.to_string(),
        };
        let reason = if advice.is_empty() { said } else { format!("{said} ({advice})") };
        Self { reason, is_lasting: fault.is_lasting() }
    }
}

fn advice(fault: &Fault, ours: &Mechanism) -> &'static str {
    match (fault, ours) {
        (Fault::Refused(reason), _) if reason.starts_with("400") => denied(ours),
        (Fault::Refused(reason), _) if reason.starts_with("domain") => "both sides must share one domain, or have none",
        (Fault::Domain { .. }, _) => "both sides must share one domain, or have none",
        (Fault::Mechanism(theirs), Mechanism::Null) if theirs == "CURVE" => {
            "it wants CURVE: the server's public key and a key pair of ours are missing"
        }
        (Fault::Mechanism(theirs), _) if theirs == "PLAIN" => "it wants PLAIN: a user and a password",
        (Fault::Mechanism(theirs), _) if theirs == "NULL" => "it has no security, and we insist on some",
        (Fault::Mechanism(theirs), _) if theirs == "CURVE" => "it wants CURVE: the server's public key and a key pair",
        (Fault::Forged(_), _) => "it does not have the secret key of the public key that we were given for it",
        (Fault::HandshakeClosed | Fault::HandshakeTimeout, Mechanism::CurveClient { .. }) => {
            "so do servers whose public key is not the one that we were given, and servers that are too busy"
        }
        _ => "",
    }
}

fn denied(ours: &Mechanism) -> &'static str {
    match ours {
        Mechanism::Null => "it lets in nobody who does not prove who it is",
        Mechanism::PlainClient(_) => "it does not know this user, or the password is another",
        _ => "it does not know our public key: its allow file has to name it",
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    fn refusal(fault: &Fault, mechanism: Mechanism) -> (String, bool) {
        let Refusal { reason, is_lasting } = Refusal::new(fault, &Options { mechanism, ..Options::default() });
        (reason, is_lasting)
    }

    fn curve() -> Mechanism {
        let keys = crate::key_file::generate().unwrap();
        Mechanism::CurveClient { server: keys.public, keys: Arc::new(keys) }
    }

    #[test]
    fn each_refusal_says_what_to_do_and_a_server_that_hung_up_may_still_come_round() {
        let domain = Fault::Domain { theirs: "prod".to_owned(), ours: "test".to_owned() };
        for (fault, mechanism, start, part, lasting) in [
            (Fault::Refused("400".to_owned()), curve(), "400 ", "allow file", true),
            (Fault::Refused("400".to_owned()), Mechanism::Null, "400 ", "prove", true),
            (domain, Mechanism::Null, "domain is prod", "share one domain", true),
            (Fault::Mechanism("CURVE".to_owned()), Mechanism::Null, "security mechanism", "key pair", true),
            (Fault::Mechanism("NULL".to_owned()), curve(), "security mechanism", "no security", true),
            (Fault::Forged("WELCOME"), curve(), "WELCOME", "secret key", true),
            (Fault::HandshakeClosed, curve(), "closed by the peer", "public key", false),
        ] {
            let (reason, is_lasting) = refusal(&fault, mechanism);
            assert!(reason.starts_with(start) && reason.contains(part), "{reason}");
            assert_eq!(is_lasting, lasting, "{reason}");
        }
    }

    #[test]
    fn what_needs_no_advice_gets_none() {
        assert_eq!(refusal(&Fault::HandshakeClosed, Mechanism::Null).0, "closed by the peer in the handshake");
    }
}
