//! The kinds of ZeroMQ sockets, as they name themselves on the wire, and which of them may talk to ours.

use crate::wire::fault::Fault;

/// A kind of socket that ours may talk to, or be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SocketType {
    /// One request at a time, strictly alternating.
    Request,
    /// Answers requests.
    Reply,
    /// Asynchronous, to one or more peers.
    Dealer,
    /// Asynchronous, addresses its peers.
    Router,
}

impl SocketType {
    /// The name in READY.
    pub fn name(self) -> &'static str {
        match self {
            Self::Request => "REQ",
            Self::Reply => "REP",
            Self::Dealer => "DEALER",
            Self::Router => "ROUTER",
        }
    }

    /// The number in a ZMTP 2.0 greeting.
    pub(crate) fn version_2_number(self) -> u8 {
        match self {
            Self::Request => 3,
            Self::Reply => 4,
            Self::Dealer => 5,
            Self::Router => 6,
        }
    }

    /// The type of a peer by its name in READY, if it may talk to `self`.
    pub(crate) fn peer_named(self, name: &[u8]) -> Result<Self, Fault> {
        let peer = Self::ALL.into_iter().find(|candidate| candidate.name().as_bytes() == name);
        peer.filter(|&peer| self.talks_to(peer)).ok_or_else(|| Fault::SocketType(printable(name)))
    }

    /// The type of a ZMTP 2.0 peer by its number, if it may talk to `self`.
    pub(crate) fn peer_numbered(self, number: u8) -> Result<Self, Fault> {
        let peer = Self::ALL.into_iter().find(|candidate| candidate.version_2_number() == number);
        peer.filter(|&peer| self.talks_to(peer)).ok_or_else(|| Fault::SocketType(number.to_string()))
    }

    /// The legal pairs of RFC 37 as far as our two types go.
    fn talks_to(self, peer: Self) -> bool {
        match self {
            Self::Router => matches!(peer, Self::Request | Self::Dealer | Self::Router),
            Self::Dealer => matches!(peer, Self::Reply | Self::Dealer | Self::Router),
            Self::Request => matches!(peer, Self::Reply | Self::Router),
            Self::Reply => matches!(peer, Self::Request | Self::Dealer),
        }
    }

    const ALL: [Self; 4] = [Self::Request, Self::Reply, Self::Dealer, Self::Router];
}

/// Bytes of a peer as short text that is safe to show.
pub(crate) fn printable(bytes: &[u8]) -> String {
    bytes.get(..64).unwrap_or(bytes).escape_ascii().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn router_talks_to_req_dealer_router_and_to_nobody_else() {
        for legal in ["REQ", "DEALER", "ROUTER"] {
            assert_eq!(SocketType::Router.peer_named(legal.as_bytes()).unwrap().name(), legal);
        }
        for illegal in ["REP", "PUB", "SUB", "XPUB", "XSUB", "PUSH", "PULL", "PAIR", "", "dealer", "DEALER\0"] {
            let fault = SocketType::Router.peer_named(illegal.as_bytes()).unwrap_err();
            assert!(matches!(fault, Fault::SocketType(_)), "{illegal}");
        }
    }

    #[test]
    fn dealer_talks_to_rep_dealer_router_and_not_to_req() {
        assert!(SocketType::Dealer.peer_named(b"REP").is_ok() && SocketType::Dealer.peer_named(b"ROUTER").is_ok());
        assert!(SocketType::Dealer.peer_named(b"REQ").is_err());
    }

    #[test]
    fn version_2_numbers_are_those_of_the_old_protocol() {
        assert_eq!(SocketType::Router.peer_numbered(3), Ok(SocketType::Request));
        assert_eq!(SocketType::Router.peer_numbered(4), Err(Fault::SocketType("4".into())));
        assert_eq!(SocketType::Dealer.peer_numbered(6), Ok(SocketType::Router));
        assert!(SocketType::Router.peer_numbered(255).is_err());
    }
}
