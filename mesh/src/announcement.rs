//! How a broker says in the mesh where it listens and what it serves.
//!
//! ```text
//!   HELLO headers   X-MDP-BROKER     the broker's name
//!                   X-MDP-ENDPOINTS  where it listens, a line each
//!                   X-MDP-DIALECTS   of MDP, a line each
//!                   X-MDP-SERVICES   what it serves now, a line each
//!                   X-MDP-DIRECT     1 where these are the services of one worker, and no broker for others
//!   SHOUT to MDP    "services", and the lines of X-MDP-SERVICES as they are from now on
//! ```
//!
//! Headers are said once, to each node that comes; a change is shouted. A service whose name is no line of text is left
//! out, and so is what does not fit: calling it works all the same.

use std::collections::BTreeMap;

use bytes::Bytes;
use protocol::Frames;

/// What a broker says of itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Announcement {
    /// Its name.
    pub broker: String,
    /// Where it listens, the best endpoint first.
    pub endpoints: Vec<String>,
    /// The dialects of MDP that it speaks.
    pub dialects: Vec<String>,
    /// The services that it has workers for.
    pub services: Vec<String>,
    /// Whether this is a worker that is called directly: other workers have no business there, nor have clients that
    /// want another service.
    pub is_direct: bool,
}

/// The group in which changes are told.
pub const GROUP: &str = "MDP";

impl Announcement {
    /// As headers.
    pub fn headers(&self) -> BTreeMap<String, String> {
        let headers = [
            (BROKER, self.broker.clone()),
            (ENDPOINTS, self.endpoints.join("\n")),
            (DIALECTS, self.dialects.join("\n")),
            (SERVICES, lines(&self.services)),
        ];
        let direct = self.is_direct.then(|| (DIRECT, "1".to_owned()));
        headers.into_iter().chain(direct).map(|(name, value)| (name.to_owned(), value)).collect()
    }

    /// Out of the headers of a node; `None` when it is no broker.
    pub fn from_headers(headers: &BTreeMap<String, String>) -> Option<Self> {
        let list = |name| headers.get(name).map(|value| split(value)).unwrap_or_default();
        let announcement = Self {
            broker: headers.get(BROKER)?.clone(),
            endpoints: list(ENDPOINTS),
            dialects: list(DIALECTS),
            services: list(SERVICES),
            is_direct: headers.contains_key(DIRECT),
        };
        (!announcement.endpoints.is_empty()).then_some(announcement)
    }

    /// As the content of a SHOUT.
    pub fn shout(&self) -> Frames {
        Frames::from([Bytes::from_static(WORD), Bytes::from(lines(&self.services))])
    }
}

/// The services that a SHOUT tells; `None` when it is about something else.
pub(crate) fn services_of(content: &Frames) -> Option<Vec<String>> {
    let [word, list] = &content[..] else { return None };
    let list = std::str::from_utf8(list.get(..LINES_BYTES_MAX).unwrap_or(list)).ok()?;
    (word == WORD).then(|| split(list))
}

fn split(list: &str) -> Vec<String> {
    let lines = list.lines().filter(|line| !line.is_empty()).take(LINES_MAX);
    lines.map(str::to_owned).collect()
}

fn lines(names: &[String]) -> String {
    let mut list = String::new();
    for name in names.iter().filter(|name| !name.is_empty() && !name.contains(char::is_control)).take(LINES_MAX) {
        if list.len() + name.len() + 1 > LINES_BYTES_MAX {
            break;
        }
        list.push_str(name);
        list.push('\n');
    }
    list
}

const BROKER: &str = "X-MDP-BROKER";
const ENDPOINTS: &str = "X-MDP-ENDPOINTS";
const DIALECTS: &str = "X-MDP-DIALECTS";
const SERVICES: &str = "X-MDP-SERVICES";
const DIRECT: &str = "X-MDP-DIRECT";
const WORD: &[u8] = b"services";
/// Half of a HELLO, so that the rest finds room.
const LINES_BYTES_MAX: usize = 32 << 10;
const LINES_MAX: usize = 4096;

#[cfg(test)]
mod tests {
    use super::*;

    fn announcement(services: Vec<String>) -> Announcement {
        let text = |texts: &[&str]| texts.iter().map(|&text| text.to_owned()).collect();
        let (endpoints, dialects) = (text(&["tcp://10.0.0.1:5555", "ipc:///a b"]), text(&["0.2", "0.3"]));
        Announcement { broker: "app".into(), endpoints, dialects, services, is_direct: false }
    }

    #[test]
    fn an_announcement_survives_the_headers_and_its_services_the_shout() {
        let said = announcement(vec!["echo".into(), "a b".into()]);
        assert_eq!(Announcement::from_headers(&said.headers()), Some(said.clone()));
        let direct = Announcement { is_direct: true, ..said.clone() };
        assert_eq!(Announcement::from_headers(&direct.headers()), Some(direct));
        assert_eq!(services_of(&said.shout()), Some(said.services));
    }

    #[test]
    fn a_node_without_the_headers_or_without_an_endpoint_is_no_broker() {
        let mut headers = announcement(Vec::new()).headers();
        headers.insert(ENDPOINTS.into(), "\n".into());
        assert_eq!(Announcement::from_headers(&headers), None);
        assert_eq!(Announcement::from_headers(&BTreeMap::new()), None);
        assert_eq!(services_of(&Frames::from(["hello"])), None);
    }

    #[test]
    fn names_that_are_no_line_and_those_that_do_not_fit_are_left_out() {
        assert_eq!(services_of(&announcement(vec!["a\nb".into(), "c".into()]).shout()), Some(vec!["c".to_owned()]));
        let many: Vec<String> = (0..10_000).map(|number| format!("service-{number}")).collect();
        let said = announcement(many).headers();
        assert!(said[SERVICES].len() <= LINES_BYTES_MAX);
        assert!(Announcement::from_headers(&said).unwrap().services.len() > 1000);
    }
}
