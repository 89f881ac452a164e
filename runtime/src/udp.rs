//! Datagrams to everybody on a network: one socket for each interface, by broadcast or by multicast.
//!
//! ```text
//!   broadcast   to the interface's broadcast address, as pyre and Zyre do (on loopback 127.255.255.255)
//!   multicast   to a group of IPv4 or IPv6, over the interface that is named
//!   unicast     besides, to addresses that are named, where neither is routed
//! ```
//!
//! Interfaces come and go: [`Sockets::refresh`] looks again and opens anew what has changed. What cannot be sent now is
//! sent the next time.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6};
use std::str::FromStr;
use std::task::{Context, Poll};

use socket2::{Domain, Protocol, SockAddr, SockRef, Socket, Type};
use tokio::io::ReadBuf;
use tokio::net::UdpSocket;

pub use self::cards::Card;

mod cards;

/// How a datagram reaches everybody.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Spread {
    /// IPv4 broadcast.
    #[default]
    Broadcast,
    /// A multicast group of IPv4.
    Multicast(Ipv4Addr),
    /// A multicast group of IPv6.
    Multicast6(Ipv6Addr),
}

/// An interface, by its name or by an address of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Interface {
    /// As `ip link` calls it.
    Name(String),
    /// One of its addresses.
    Address(IpAddr),
}

/// Which interfaces to use: those named, or, when none is, all that lead to a network; loopback when there is none.
pub type Interfaces = Vec<Interface>;

/// No such interface.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// None is as wished.
    #[error("no interface {wanted} is up (there are {present})")]
    Interface {
        /// What was asked for.
        wanted: String,
        /// What there is.
        present: String,
    },
    /// The operating system refused.
    #[error("cannot use UDP port {port} of {card}: {error}")]
    Io {
        /// Which port.
        port: u16,
        /// Of which interface.
        card: String,
        /// Why.
        error: io::Error,
    },
}

/// The sockets of all interfaces in use.
#[derive(Debug)]
pub struct Sockets {
    wanted: Interfaces,
    spread: Spread,
    port: u16,
    open: Vec<(Card, UdpSocket)>,
    /// Whom to send to besides.
    named: Vec<SocketAddr>,
    /// Whose turn it is to be asked first.
    turn: usize,
}

/// A datagram, and where it came from.
pub type Datagram = (SocketAddr, Vec<u8>);

impl FromStr for Interface {
    type Err = std::convert::Infallible;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(text.parse().map_or_else(|_| Self::Name(text.to_owned()), Self::Address))
    }
}

/// The interfaces that [`Sockets::open`] would use.
///
/// # Errors
/// When no interface is as wished.
pub fn cards(wanted: &[Interface], spread: Spread) -> Result<Vec<Card>, Error> {
    cards::chosen(wanted, spread)
}

impl Sockets {
    /// Opens `port` on the interfaces. Other programs may have it open, too.
    ///
    /// # Errors
    /// When no interface is as wished, or none can be used.
    pub fn open(wanted: Interfaces, spread: Spread, port: u16) -> Result<Self, Error> {
        let cards = cards::chosen(&wanted, spread)?;
        let mut sockets = Self { wanted, spread, port, open: Vec::new(), named: Vec::new(), turn: 0 };
        let mut failure = None;
        for card in cards {
            match sockets.socket(&card) {
                Ok(socket) => sockets.open.push((card, socket)),
                Err(error) => failure = Some(Error::Io { port, card: card.name, error }),
            }
        }
        match failure {
            Some(failure) if sockets.open.is_empty() => Err(failure),
            _ => Ok(sockets),
        }
    }

    /// The interfaces in use.
    pub fn cards(&self) -> impl Iterator<Item = &Card> {
        self.open.iter().map(|(card, _)| card)
    }

    /// Sends to these addresses as well, from now on.
    pub fn name(&mut self, addresses: Vec<SocketAddr>) {
        self.named = addresses;
    }

    /// Looks at the interfaces again; whether others are in use now.
    pub fn refresh(&mut self) -> bool {
        let Ok(cards) = cards::chosen(&self.wanted, self.spread) else { return false };
        if cards.iter().eq(self.cards()) {
            return false;
        }
        let mut old = std::mem::take(&mut self.open);
        for card in cards {
            let known = old.iter().position(|(known, _)| *known == card);
            match known.map(|place| old.swap_remove(place)) {
                Some(kept) => self.open.push(kept),
                // It may be on its way up or down; the next look tells.
                None => self.open.extend(self.socket(&card).ok().map(|socket| (card, socket))),
            }
        }
        true
    }

    /// Sends to everybody, as far as it can be done now.
    pub fn send(&self, octets: &[u8]) {
        self.send_to_named(octets);
        for (card, socket) in &self.open {
            // Past tokio, which does not know yet whether a new socket can be written to, and would not try.
            let sent = SockRef::from(socket).send_to(octets, &self.target(card).into());
            if let Err(error) = sent {
                tracing::trace!(card = card.name, %error, "beacon not sent");
            }
        }
    }

    /// Over whichever interface leads there, so with a socket of its own: the others are bound to theirs.
    fn send_to_named(&self, octets: &[u8]) {
        for address in &self.named {
            let sent =
                Socket::new(Domain::for_address(*address), Type::DGRAM, Some(Protocol::UDP)).and_then(|socket| {
                    socket.set_nonblocking(true)?;
                    socket.send_to(octets, &(*address).into())
                });
            if let Err(error) = sent {
                tracing::trace!(%address, %error, "beacon not sent");
            }
        }
    }

    /// Waits for at least one datagram and adds what is there, up to a bound. Longer ones are cut. Cancel safe.
    pub async fn recv(&mut self, datagrams: &mut Vec<Datagram>) {
        std::future::poll_fn(|context| self.poll_recv(context, datagrams)).await;
    }

    fn poll_recv(&mut self, context: &mut Context<'_>, datagrams: &mut Vec<Datagram>) -> Poll<()> {
        let (start, mut is_failing) = (datagrams.len(), false);
        self.turn = self.turn.wrapping_add(1);
        let (after, before) = self.open.split_at(self.turn % self.open.len().max(1));
        for (_, socket) in before.iter().chain(after) {
            for _ in 0..DATAGRAMS_PER_RECV {
                let mut octets = [0; DATAGRAM_BYTES_MAX];
                let mut buffer = ReadBuf::new(&mut octets);
                match socket.poll_recv_from(context, &mut buffer) {
                    Poll::Ready(Ok(from)) => datagrams.push((from, buffer.filled().to_vec())),
                    // Such as an interface that went down. It is looked at again, after the others.
                    Poll::Ready(Err(_)) => {
                        is_failing = true;
                        break;
                    }
                    Poll::Pending => break,
                }
            }
        }
        if is_failing {
            context.waker().wake_by_ref();
        }
        if datagrams.len() > start { Poll::Ready(()) } else { Poll::Pending }
    }

    fn target(&self, card: &Card) -> SocketAddr {
        match self.spread {
            Spread::Broadcast => SocketAddr::new(card.broadcast.into(), self.port),
            Spread::Multicast(group) => SocketAddr::new(group.into(), self.port),
            Spread::Multicast6(group) => SocketAddrV6::new(group, self.port, 0, card.index).into(),
        }
    }

    fn socket(&self, card: &Card) -> io::Result<UdpSocket> {
        let domain = if matches!(self.spread, Spread::Multicast6(_)) { Domain::IPV6 } else { Domain::IPV4 };
        let socket = Socket::new(domain, Type::DGRAM, Some(Protocol::UDP))?;
        socket.set_nonblocking(true)?;
        // Everybody on this machine shares the port. Programs that ask for one of the two alone have to be met, too.
        socket.set_reuse_address(true)?;
        socket.set_reuse_port(true)?;
        // Without it we hear other interfaces as well, and that is no harm but more to read.
        let _ = socket.bind_device(Some(card.name.as_bytes()));
        match (self.spread, card.ip) {
            (Spread::Broadcast, _) => socket.set_broadcast(true)?,
            (Spread::Multicast(group), IpAddr::V4(own)) => {
                socket.join_multicast_v4_n(&group, &socket2::InterfaceIndexOrAddress::Index(card.index))?;
                socket.set_multicast_if_v4(&own)?;
                socket.set_multicast_ttl_v4(MULTICAST_HOPS)?;
            }
            (Spread::Multicast6(group), _) => {
                socket.set_only_v6(true)?;
                socket.join_multicast_v6(&group, card.index)?;
                socket.set_multicast_if_v6(card.index)?;
            }
            (Spread::Multicast(_), IpAddr::V6(_)) => return Err(io::ErrorKind::Unsupported.into()),
        }
        let own: SocketAddr = match self.spread {
            Spread::Multicast6(_) => (Ipv6Addr::UNSPECIFIED, self.port).into(),
            Spread::Broadcast | Spread::Multicast(_) => (Ipv4Addr::UNSPECIFIED, self.port).into(),
        };
        socket.bind(&SockAddr::from(own))?;
        UdpSocket::from_std(socket.into())
    }
}

/// Octets of a datagram that are looked at: more than any that we know.
const DATAGRAM_BYTES_MAX: usize = 256;
const DATAGRAMS_PER_RECV: usize = 128;
/// As pyre and czmq have it: this network and the next.
const MULTICAST_HOPS: u32 = 2;

#[cfg(test)]
mod tests {
    use super::*;

    fn lo(spread: Spread, port: u16) -> Sockets {
        Sockets::open(vec![Interface::Name("lo".into())], spread, port).unwrap()
    }

    async fn is_heard(spread: Spread, port: u16) {
        let (mut one, mut other) = (lo(spread, port), lo(spread, port));
        for sender in [&one, &other] {
            sender.send(b"hello");
        }
        for receiver in [&mut one, &mut other] {
            let mut datagrams = Vec::new();
            while datagrams.len() < 2 {
                receiver.recv(&mut datagrams).await;
            }
            assert!(
                datagrams.iter().all(|(from, octets)| octets == b"hello" && from.ip().is_loopback()),
                "{datagrams:?}"
            );
        }
    }

    #[tokio::test]
    async fn everybody_on_one_port_hears_a_broadcast_the_sender_too() {
        is_heard(Spread::Broadcast, 15_670).await;
    }

    #[tokio::test]
    async fn everybody_on_one_port_hears_a_multicast_the_sender_too() {
        is_heard(Spread::Multicast(Ipv4Addr::new(239, 192, 7, 1)), 15_671).await;
    }

    #[tokio::test]
    async fn an_interface_is_found_by_its_address_and_one_that_is_not_there_is_named() {
        let sockets = Sockets::open(vec!["127.0.0.1".parse().unwrap()], Spread::Broadcast, 15_672).unwrap();
        let names: Vec<_> = sockets.cards().map(|card| (card.name.as_str(), card.ip.to_string())).collect();
        assert_eq!(names, [("lo", "127.0.0.1".to_owned())]);
        for wanted in ["nonexistent7", "192.0.2.77"] {
            let error = Sockets::open(vec![wanted.parse().unwrap()], Spread::Broadcast, 15_672).unwrap_err();
            let text = error.to_string();
            assert!(text.contains(wanted) && text.contains("lo"), "{text}");
        }
    }

    #[tokio::test]
    async fn a_second_look_changes_nothing_where_nothing_has_changed() {
        let mut sockets = lo(Spread::Broadcast, 15_673);
        assert!(!sockets.refresh());
        assert_eq!(sockets.cards().count(), 1);
    }
}
