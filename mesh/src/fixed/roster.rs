//! Who is in the mesh, and where: a peers.json as zmqnet and its kin write it.
//!
//! ```text
//!   { "info": { … },
//!     "replicas": [ { "pid": 1000, "name": "alpha", "address": "localhost:3264",
//!                     "host": "apollo", "ipaddr": "127.0.0.1", "port": 3264 }, … ] }
//! ```
//!
//! `ip_address` stands for `ipaddr` and `hostname` for `host`; there may be a `domain`. Where a member is reached: at
//! its `address`; else, if its host is this one, at localhost; else at its `ipaddr`, `domain` or `host`, whichever is
//! there. An `address` without a host, such as `:3264`, gives the port alone. Where both give one, `port` counts, since
//! it is the one at which zmqnet listens and connects; a port of 0 is none. What else a file holds is left unread.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use protocol::limits;
use serde_json::{Map, Value};

/// The members, in the order of the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Roster(Vec<Member>);

/// One of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// What it is called, up to 255 bytes; no two are called the same.
    pub name: Arc<str>,
    /// The host that the file gives it; an IPv6 address without brackets.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// Whether it is on this machine, so that it is reached at localhost whatever its host is.
    pub is_here: bool,
}

/// What is wrong with a file, and what is allowed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// Not JSON, or none that can be read.
    #[error("not JSON: {0}")]
    Json(String),
    /// No list of members.
    #[error("no list \"replicas\" (expected: {{\"replicas\": [{{\"name\": …, \"address\": \"HOST:PORT\"}}, …]}})")]
    Replicas,
    /// A list of none, or of too many.
    #[error("{0} replicas (allowed: 1 to {max})", max = limits::ZMQNET_MEMBERS_MAX)]
    Count(usize),
    /// A value that cannot be.
    #[error("{place}: {key}: {problem} (expected: {expected})")]
    Value {
        /// Which member, by its place in the list and its name.
        place: String,
        /// Which of its values.
        key: &'static str,
        /// What it is.
        problem: String,
        /// What it should be.
        expected: &'static str,
    },
    /// Two members have one name.
    #[error("{first} and {second} are both called \"{}\" (allowed: one)", name.escape_debug())]
    Taken {
        /// The earlier one in the file.
        first: String,
        /// The later one.
        second: String,
        /// What both are called.
        name: Arc<str>,
    },
    /// Nobody has this name.
    #[error("no replica is called \"{name}\" (there are: {names})")]
    Unknown {
        /// The name.
        name: String,
        /// Those that are there.
        names: String,
    },
}

impl Roster {
    /// Reads a file's text, on a machine of this host name; empty if it has none.
    ///
    /// # Errors
    /// The first thing that is wrong, where, and what is allowed.
    pub fn parse(text: &str, own_host: &str) -> Result<Self, Fault> {
        let file: Value = serde_json::from_str(text).map_err(|error| Fault::Json(error.to_string()))?;
        let replicas = file.get("replicas").and_then(Value::as_array).ok_or(Fault::Replicas)?;
        if !(1..=limits::ZMQNET_MEMBERS_MAX).contains(&replicas.len()) {
            return Err(Fault::Count(replicas.len()));
        }
        let mut members = Vec::with_capacity(replicas.len());
        let mut names = BTreeMap::new();
        for (number, replica) in replicas.iter().enumerate() {
            let entry = Entry::new(number, replica)?;
            let member = entry.member(own_host)?;
            let name = Arc::clone(&member.name);
            if let Some(first) = names.insert(Arc::clone(&name), entry.place.clone()) {
                return Err(Fault::Taken { first, second: entry.place, name });
            }
            members.push(member);
        }
        Ok(Self(members))
    }

    /// All of them.
    pub fn members(&self) -> &[Member] {
        &self.0
    }

    /// The one of this name.
    ///
    /// # Errors
    /// [`Fault::Unknown`], with the names that are there.
    pub fn get(&self, name: &str) -> Result<&Member, Fault> {
        self.0.iter().find(|member| &*member.name == name).ok_or_else(|| {
            let names: Vec<&str> = self.0.iter().map(|member| &*member.name).collect();
            Fault::Unknown { name: name.to_owned(), names: names.join(", ") }
        })
    }

    /// All but the one of this name.
    pub fn others(&self, name: &str) -> Vec<Member> {
        self.0.iter().filter(|member| &*member.name != name).cloned().collect()
    }
}

impl Member {
    /// Where it is reached from this machine, as an endpoint.
    pub fn endpoint(&self) -> String {
        let host = if self.is_here { "localhost" } else { &self.host };
        format!("tcp://{}:{}", bracketed(host), self.port)
    }

    /// Where it listens: on its loopback address if the file gives it one, else everywhere, so that members on other
    /// machines reach it however this one does.
    pub fn bind(&self) -> String {
        let address = if self.host == "localhost" { "127.0.0.1" } else { &self.host };
        match address.parse::<IpAddr>() {
            Ok(ip) if ip.is_loopback() => format!("tcp://{}:{}", bracketed(address), self.port),
            _ => format!("tcp://*:{}", self.port),
        }
    }
}

/// One entry of the list.
struct Entry<'a> {
    place: String,
    values: &'a Map<String, Value>,
}

impl<'a> Entry<'a> {
    fn new(number: usize, replica: &'a Value) -> Result<Self, Fault> {
        let name = replica.get("name").and_then(Value::as_str);
        let place = name.map_or_else(
            || format!("replicas[{number}]"),
            |name| format!("replicas[{number}] ({})", name.escape_debug()),
        );
        let object = "an object with name and address, or name, ipaddr and port";
        match replica.as_object() {
            Some(values) => Ok(Self { place, values }),
            None => Err(Fault::Value { place, key: "entry", problem: kind(replica).to_owned(), expected: object }),
        }
    }

    fn member(&self, own_host: &str) -> Result<Member, Fault> {
        let name = self.text("name", NAME)?.ok_or_else(|| self.fault("name", "missing", NAME))?;
        if !(1..=limits::ZMQNET_NAME_BYTES_MAX).contains(&name.len()) || name.contains(char::is_control) {
            return Err(self.fault("name", format!("{} bytes", name.len()), NAME));
        }
        let (host, port) = self.address()?;
        let port = self.port()?.or(port).ok_or_else(|| self.fault("port", "missing", PORT))?;
        let (host, is_here) = match host {
            Some(host) => (host, false),
            None => (self.host()?, self.is_here(own_host)?),
        };
        Ok(Member { name: name.into(), host, port, is_here })
    }

    /// Where it is reached when no address says so.
    fn host(&self) -> Result<String, Fault> {
        let domain = self.text("domain", HOST)?.filter(|domain| !domain.is_empty()).map(|domain| ("domain", domain));
        let (ip, host) = (self.either("ipaddr", "ip_address", IP)?, self.either("host", "hostname", HOST)?);
        let Some((key, name)) = ip.or(domain).or(host) else {
            let address = self.text("address", ADDRESS)?.filter(|address| !address.is_empty());
            let address =
                address.map_or_else(|| "missing".to_owned(), |address| format!("\"{}\"", address.escape_debug()));
            return Err(self.fault("address", format!("{address}, and no ipaddr, domain or host"), ADDRESS));
        };
        let expected = if ip.is_some() { IP } else { HOST };
        host_of(name).ok_or_else(|| self.fault(key, format!("\"{}\"", name.escape_debug()), expected))
    }

    /// Whether its host is this one. This one may be called by its first label alone, as zmqnet takes it; a full name
    /// is compared as a whole, since `db.us` is not `db.eu`.
    fn is_here(&self, own_host: &str) -> Result<bool, Fault> {
        let Some((_, host)) = self.either("host", "hostname", HOST)? else { return Ok(false) };
        let is_full = own_host.contains('.');
        let compared = if is_full { host } else { host.split('.').next().unwrap_or_default() };
        Ok(!own_host.is_empty() && compared.eq_ignore_ascii_case(own_host))
    }

    /// `host:port`, the host alone, or `:port` of a host that stands elsewhere.
    fn address(&self) -> Result<(Option<String>, Option<u16>), Fault> {
        let Some(address) = self.text("address", ADDRESS)?.filter(|address| !address.is_empty()) else {
            return Ok((None, None));
        };
        let fault = || self.fault("address", format!("\"{}\"", address.escape_debug()), ADDRESS);
        let bare = address.strip_prefix("tcp://").unwrap_or(address);
        let (host, port) = match bare.rsplit_once(':') {
            Some((host, port)) if !host.contains(':') || host.ends_with(']') => {
                (host, Some(port.parse::<u16>().map_err(|_| fault())?))
            }
            _ => (bare, None),
        };
        let host = if ["", "*"].contains(&host) { None } else { Some(host_of(host).ok_or_else(fault)?) };
        Ok((host, port.filter(|port| *port != 0)))
    }

    /// `port`, of which Go's reader cannot tell 0 from none.
    fn port(&self) -> Result<Option<u16>, Fault> {
        match self.values.get("port") {
            None | Some(Value::Null) => Ok(None),
            Some(value) => match value.as_u64().and_then(|number| u16::try_from(number).ok()) {
                Some(port) => Ok(Some(port).filter(|port| *port != 0)),
                None if value.is_number() => Err(self.fault("port", value.to_string(), PORT)),
                None => Err(self.fault("port", kind(value), PORT)),
            },
        }
    }

    /// The text of either key, and which one it was.
    fn either(
        &self,
        key: &'static str,
        other: &'static str,
        what: &'static str,
    ) -> Result<Option<(&'static str, &'a str)>, Fault> {
        for key in [key, other] {
            if let Some(text) = self.text(key, what)?.filter(|text| !text.is_empty()) {
                return Ok(Some((key, text)));
            }
        }
        Ok(None)
    }

    fn text(&self, key: &'static str, expected: &'static str) -> Result<Option<&'a str>, Fault> {
        match self.values.get(key) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(other) => Err(self.fault(key, kind(other), expected)),
        }
    }

    fn fault(&self, key: &'static str, problem: impl Into<String>, expected: &'static str) -> Fault {
        Fault::Value { place: self.place.clone(), key, problem: problem.into(), expected }
    }
}

/// A name or an address, without brackets, that stands in an endpoint and means nothing else there.
fn host_of(text: &str) -> Option<String> {
    let bare = text.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(text);
    if let Ok(address) = bare.parse::<IpAddr>() {
        return Some(address.to_string());
    }
    let is_plain = |letter: char| letter.is_alphanumeric() || ['-', '_', '.'].contains(&letter);
    let is_name = !text.is_empty() && text.len() <= HOST_BYTES_MAX && text.chars().all(is_plain);
    is_name.then(|| text.to_owned())
}

fn bracketed(host: &str) -> String {
    if host.contains(':') { format!("[{host}]") } else { host.to_owned() }
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

const NAME: &str = "a text of 1 to 255 bytes without control characters";
const ADDRESS: &str = "HOST:PORT, or :PORT beside an ipaddr, domain or host";
const PORT: &str = "a number from 1 to 65535";
const IP: &str = "an IPv4 or IPv6 address, or the name of a host";
const HOST: &str = "the name of a host";
/// The longest name of DNS.
const HOST_BYTES_MAX: usize = 253;
