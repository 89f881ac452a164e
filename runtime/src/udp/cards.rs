//! The interfaces of this machine, with an address each.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use nix::ifaddrs::{InterfaceAddress, getifaddrs};
use nix::net::if_::{InterfaceFlags, if_nametoindex};

use super::{Error, Interface, Spread};

/// An interface that is up, by one of its addresses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Card {
    /// As `ip link` calls it.
    pub name: String,
    /// Its number.
    pub index: u32,
    /// Its address.
    pub ip: IpAddr,
    /// Bits that all addresses of its network share.
    pub prefix: u8,
    /// The address of everybody in its network; of meaning for IPv4.
    pub broadcast: Ipv4Addr,
    is_loopback: bool,
}

/// The interfaces that are wished, or those that lead to a network, or loopback.
pub(super) fn chosen(wanted: &[Interface], spread: Spread) -> Result<Vec<Card>, Error> {
    let present = present(spread);
    if wanted.is_empty() {
        let networks: Vec<Card> = present.iter().filter(|card| !card.is_loopback).cloned().collect();
        return if networks.is_empty() { some(present, "any") } else { Ok(networks) };
    }
    let mut chosen = Vec::new();
    for interface in wanted {
        let name = match interface {
            Interface::Name(name) => name.clone(),
            Interface::Address(address) => address.to_string(),
        };
        let fits = |card: &&Card| match interface {
            Interface::Name(name) => card.name == *name,
            Interface::Address(address) => card.ip == *address,
        };
        let found: Vec<Card> = present.iter().filter(fits).cloned().collect();
        if found.is_empty() {
            return some_of(&present, &name);
        }
        chosen.extend(found);
    }
    chosen.dedup();
    Ok(chosen)
}

fn some(present: Vec<Card>, wanted: &str) -> Result<Vec<Card>, Error> {
    if present.is_empty() { some_of(&present, wanted) } else { Ok(present) }
}

fn some_of(present: &[Card], wanted: &str) -> Result<Vec<Card>, Error> {
    let present: Vec<String> = present.iter().map(|card| format!("{} {}", card.name, card.ip)).collect();
    Err(Error::Interface { wanted: wanted.to_owned(), present: present.join(", ") })
}

/// Every interface that is up, with the addresses that the spread can use; of IPv6 the link-local one, or loopback.
fn present(spread: Spread) -> Vec<Card> {
    let Ok(addresses) = getifaddrs() else { return Vec::new() };
    let mut cards: Vec<Card> = addresses.filter_map(|address| card(&address, spread)).collect();
    cards.sort_by(|one, other| (&one.name, one.ip).cmp(&(&other.name, other.ip)));
    cards
}

fn card(address: &InterfaceAddress, spread: Spread) -> Option<Card> {
    let is_loopback = address.flags.contains(InterfaceFlags::IFF_LOOPBACK);
    if !address.flags.contains(InterfaceFlags::IFF_UP | InterfaceFlags::IFF_RUNNING) {
        return None;
    }
    let index = if_nametoindex(address.interface_name.as_str()).ok()?;
    let named = |ip: IpAddr, prefix: u32, broadcast: Ipv4Addr| Card {
        name: address.interface_name.clone(),
        index,
        ip,
        prefix: u8::try_from(prefix).unwrap_or(128),
        broadcast,
        is_loopback,
    };
    if let Spread::Multicast6(_) = spread {
        let ip = address.address.as_ref()?.as_sockaddr_in6()?.ip();
        let mask = address.netmask.as_ref().and_then(|mask| mask.as_sockaddr_in6().map(|mask| mask.ip()));
        let is_usable = ip.is_unicast_link_local() || is_loopback;
        let prefix = mask.map_or(64, |mask| mask.to_bits().count_ones());
        return is_usable.then(|| named(ip.into(), prefix, Ipv4Addr::UNSPECIFIED));
    }
    let ip = address.address.as_ref()?.as_sockaddr_in()?.ip();
    let mask = address.netmask.as_ref()?.as_sockaddr_in()?.ip();
    let can = match spread {
        Spread::Broadcast => is_loopback || address.flags.contains(InterfaceFlags::IFF_BROADCAST),
        _ => is_loopback || address.flags.contains(InterfaceFlags::IFF_MULTICAST),
    };
    // The kernel's own broadcast address may be set to anything; the last of the network is what others listen on.
    let broadcast = Ipv4Addr::from_bits(ip.to_bits() | !mask.to_bits());
    can.then(|| named(ip.into(), mask.to_bits().count_ones(), broadcast))
}

impl Card {
    /// The number that a link-local address needs to be reached; else 0.
    pub fn scope(&self) -> u32 {
        match self.ip {
            IpAddr::V6(ip) if is_link_local(ip) => self.index,
            _ => 0,
        }
    }
}

fn is_link_local(ip: Ipv6Addr) -> bool {
    ip.is_unicast_link_local()
}
