//! Where a socket listens or connects: `tcp://host:port` and `ipc://path`.

use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6};
use std::path::{Path, PathBuf};
use std::str::FromStr;

/// An address in ZeroMQ's notation.
///
/// ```
/// let endpoint: zmtp::Endpoint = "tcp://127.0.0.1:5555".parse()?;
/// assert_eq!(endpoint.to_string(), "tcp://127.0.0.1:5555");
/// # Ok::<(), zmtp::EndpointError>(())
/// ```
///
/// `tcp://*:5555` listens on every interface, and connects to this machine; port `*` or 0 listens on any free port.
/// A host is a name, an IPv4 address or an IPv6 address in brackets; a link-local one with the number of its interface,
/// as in `tcp://[fe80::1%2]:5555`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Endpoint(Place);

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Place {
    Tcp { host: Host, port: u16 },
    Ipc { path: PathBuf },
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Host {
    Any,
    Address(IpAddr),
    /// An IPv6 address that means something on one interface only.
    Scoped(Ipv6Addr, u32),
    Name(String),
}

/// A text that is not an endpoint.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("\"{text}\" is not an endpoint: {reason} (allowed: tcp://host:port, tcp://*:port, ipc://path)")]
pub struct EndpointError {
    text: String,
    reason: &'static str,
}

/// What a socket can be opened on.
#[derive(Clone, Debug)]
pub(crate) enum Target {
    Tcp(Vec<SocketAddr>),
    Ipc(PathBuf),
}

/// The longest path of a local socket, the closing zero octet left out.
const IPC_PATH_BYTES_MAX: usize = 107;

impl Endpoint {
    /// Whether it stays on this machine for sure: a path, or a loopback address. A name may mean anything and does not
    /// count, apart from `localhost`.
    pub fn is_local(&self) -> bool {
        match &self.0 {
            Place::Ipc { .. } => true,
            Place::Tcp { host: Host::Address(address), .. } => address.is_loopback(),
            Place::Tcp { host: Host::Scoped(address, _), .. } => address.is_loopback(),
            Place::Tcp { host: Host::Name(name), .. } => name == "localhost",
            Place::Tcp { host: Host::Any, .. } => false,
        }
    }

    /// The addresses to listen on, the first that works is enough: for `*` one socket of both families, else of IPv4.
    pub(crate) async fn listen_target(&self) -> io::Result<Target> {
        self.target([IpAddr::V6(Ipv6Addr::UNSPECIFIED), IpAddr::V4(Ipv4Addr::UNSPECIFIED)]).await
    }

    /// The addresses to connect to, to be tried in order.
    pub(crate) async fn connect_target(&self) -> io::Result<Target> {
        self.target([IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)]).await
    }

    async fn target(&self, any: [IpAddr; 2]) -> io::Result<Target> {
        match &self.0 {
            Place::Ipc { path } => Ok(Target::Ipc(path.clone())),
            Place::Tcp { host: Host::Any, port } => {
                Ok(Target::Tcp(any.into_iter().map(|address| SocketAddr::new(address, *port)).collect()))
            }
            Place::Tcp { host: Host::Address(address), port } => {
                Ok(Target::Tcp(vec![SocketAddr::new(*address, *port)]))
            }
            Place::Tcp { host: Host::Scoped(address, scope), port } => {
                Ok(Target::Tcp(vec![SocketAddrV6::new(*address, *port, 0, *scope).into()]))
            }
            Place::Tcp { host: Host::Name(name), port } => {
                Ok(Target::Tcp(tokio::net::lookup_host((name.as_str(), *port)).await?.collect()))
            }
        }
    }

    /// The same endpoint with the port that the system chose.
    pub(crate) fn with_port(&self, chosen: u16) -> Self {
        match &self.0 {
            Place::Tcp { host, .. } => Self(Place::Tcp { host: host.clone(), port: chosen }),
            Place::Ipc { .. } => self.clone(),
        }
    }

    /// The port, for TCP.
    pub fn port(&self) -> Option<u16> {
        match self.0 {
            Place::Tcp { port, .. } => Some(port),
            Place::Ipc { .. } => None,
        }
    }

    /// The path, for a local socket.
    pub fn path(&self) -> Option<&Path> {
        match &self.0 {
            Place::Tcp { .. } => None,
            Place::Ipc { path } => Some(path),
        }
    }
}

impl From<SocketAddr> for Endpoint {
    fn from(address: SocketAddr) -> Self {
        let host = match address {
            SocketAddr::V6(address) if address.scope_id() != 0 => Host::Scoped(*address.ip(), address.scope_id()),
            other => Host::Address(other.ip()),
        };
        Self(Place::Tcp { host, port: address.port() })
    }
}

impl FromStr for Endpoint {
    type Err = EndpointError;

    fn from_str(text: &str) -> Result<Self, EndpointError> {
        let place = match text.split_once("://") {
            Some(("tcp", address)) => parse_tcp(address),
            Some(("ipc", path)) => parse_ipc(path),
            Some(_) => Err("unknown transport"),
            None => Err("no transport"),
        };
        place.map(Self).map_err(|reason| EndpointError { text: text.to_owned(), reason })
    }
}

fn parse_tcp(address: &str) -> Result<Place, &'static str> {
    let (host, port) = address.rsplit_once(':').ok_or("no port")?;
    let port = match port {
        "*" => 0,
        digits => digits.parse().map_err(|_| "the port is not a number from 0 to 65535")?,
    };
    let bracketed = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
    let host = match (bracketed, host) {
        (Some(inner), _) => parse_bracketed(inner)?,
        (None, "*") => Host::Any,
        (None, "") => return Err("no host"),
        (None, host) if host.contains(':') => return Err("an IPv6 address stands in brackets"),
        (None, host) if host.contains(['/', ' ', '@', '[', ']']) => return Err("not a host name"),
        (None, host) => host.parse().map_or_else(|_| Host::Name(host.to_owned()), Host::Address),
    };
    Ok(Place::Tcp { host, port })
}

fn parse_bracketed(inner: &str) -> Result<Host, &'static str> {
    let not_one = "not an IPv6 address in the brackets";
    let (address, scope) = inner.split_once('%').map_or((inner, None), |(address, scope)| (address, Some(scope)));
    let address: Ipv6Addr = address.parse().map_err(|_| not_one)?;
    match scope {
        Some(scope) => {
            Ok(Host::Scoped(address, scope.parse().map_err(|_| "not the number of an interface after the %")?))
        }
        None => Ok(Host::Address(address.into())),
    }
}

fn parse_ipc(path: &str) -> Result<Place, &'static str> {
    match path {
        "" => Err("no path"),
        path if path.contains('\0') => Err("a zero octet in the path"),
        path if path.starts_with('@') => Err("abstract names are not supported"),
        path if path.len() > IPC_PATH_BYTES_MAX => Err("the path has more than 107 bytes"),
        path => Ok(Place::Ipc { path: path.into() }),
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Place::Tcp { host: Host::Any, port } => write!(formatter, "tcp://*:{port}"),
            Place::Tcp { host: Host::Address(address), port } => {
                write!(formatter, "tcp://{}", SocketAddr::new(*address, *port))
            }
            Place::Tcp { host: Host::Scoped(address, scope), port } => {
                write!(formatter, "tcp://{}", SocketAddrV6::new(*address, *port, 0, *scope))
            }
            Place::Tcp { host: Host::Name(name), port } => write!(formatter, "tcp://{name}:{port}"),
            Place::Ipc { path } => write!(formatter, "ipc://{}", path.display()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_surely_stays_on_this_machine_is_local() {
        let is_local = |text: &str| text.parse::<Endpoint>().unwrap().is_local();
        assert!(["tcp://127.0.0.1:1", "tcp://[::1]:1", "tcp://localhost:1", "ipc:///a"].into_iter().all(is_local));
        assert!(!["tcp://*:1", "tcp://0.0.0.0:1", "tcp://10.0.0.1:1", "tcp://host:1"].into_iter().any(is_local));
    }

    #[test]
    fn every_form_prints_as_it_was_written() {
        for text in [
            "tcp://127.0.0.1:5555",
            "tcp://*:5555",
            "tcp://[::1]:80",
            "tcp://[fe80::1%2]:80",
            "tcp://broker.example:1",
            "ipc:///tmp/a b.sock",
            "ipc://relative",
        ] {
            assert_eq!(text.parse::<Endpoint>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn any_port_is_zero() {
        assert_eq!("tcp://127.0.0.1:*".parse::<Endpoint>().unwrap().port(), Some(0));
    }

    #[test]
    fn an_error_names_the_text_the_reason_and_what_is_allowed() {
        for (text, reason) in [
            ("localhost:5555", "no transport"),
            ("udp://localhost:5555", "unknown transport"),
            ("tcp://localhost", "no port"),
            ("tcp://localhost:65536", "the port is not"),
            ("tcp://localhost:", "the port is not"),
            ("tcp://:5555", "no host"),
            ("tcp://::1:5555", "brackets"),
            ("tcp://[nine]:5555", "not an IPv6"),
            ("tcp://[fe80::1%eth0]:5555", "not the number"),
            ("tcp://a/b:5555", "not a host name"),
            ("ipc://", "no path"),
            ("ipc://@abstract", "abstract"),
        ] {
            let error = text.parse::<Endpoint>().unwrap_err().to_string();
            assert!(error.contains(text) && error.contains(reason) && error.contains("ipc://path"), "{error}");
        }
    }
}
