//! How a machine that has one broker reaches it: over a socket, or within the broker's process.
//!
//! Both are opened and closed at the machine's word. What waits to leave is bounded by whoever says it: meanwhile
//! [`Way::is_clogged`] tells the driver to take no more work in.

use std::time::Duration;

use bytes::Bytes;
use protocol::Frames;

use crate::link::{Heard, Link};
use crate::local::{Connection, Entrance};

/// A connection that is there or not.
#[derive(Debug)]
pub struct Way(Kind);

#[derive(Debug)]
enum Kind {
    Socket(Box<Link>),
    Inside(Inside),
}

#[derive(Debug)]
struct Inside {
    entrance: Entrance,
    identity: Bytes,
    connection: Option<Connection>,
    is_new: bool,
    frames: Vec<Frames>,
}

/// How long something that is clogged is left alone.
pub const CLOGGED_PAUSE: Duration = Duration::from_millis(2);
const WAITING_BYTES_MAX: usize = 16 << 20;

impl Way {
    /// Over a socket.
    pub fn socket(link: Link) -> Self {
        Self(Kind::Socket(Box::new(link)))
    }

    /// Within the process.
    pub fn inside(entrance: Entrance) -> Self {
        let (identity, connection, is_new, frames) = (Bytes::new(), None, false, Vec::new());
        Self(Kind::Inside(Inside { entrance, identity, connection, is_new, frames }))
    }

    /// The routing identity that the next connection announces; empty for none.
    pub fn announce(&mut self, identity: Bytes) {
        match &mut self.0 {
            Kind::Socket(link) => link.announce(identity),
            Kind::Inside(inside) => inside.identity = identity,
        }
    }

    /// Connects anew. Must be called within a tokio runtime.
    pub fn open(&mut self) {
        match &mut self.0 {
            Kind::Socket(link) => link.open(),
            Kind::Inside(inside) => {
                inside.connection = Some(inside.entrance.connect(inside.identity.clone()));
                inside.is_new = true;
            }
        }
    }

    /// Drops the connection; what a socket still holds is dropped with it.
    pub fn close(&mut self) {
        match &mut self.0 {
            Kind::Socket(link) => link.close(),
            Kind::Inside(inside) => inside.connection = None,
        }
    }

    /// Says something, by the next [`flush`](Self::flush). Without a connection it is dropped.
    pub fn send(&mut self, frames: Frames) {
        match &mut self.0 {
            Kind::Socket(link) => link.send(frames),
            Kind::Inside(inside) => {
                if let Some(connection) = &mut inside.connection {
                    connection.send(frames);
                }
            }
        }
    }

    /// All of a round is said.
    pub fn flush(&mut self) {
        if let Kind::Inside(inside) = &mut self.0 {
            inside.connection.iter_mut().for_each(Connection::flush);
        }
    }

    /// Whether so much is still to leave that no more should follow.
    pub fn is_clogged(&self) -> bool {
        match &self.0 {
            Kind::Socket(link) => link.is_clogged(),
            Kind::Inside(inside) => inside.connection.as_ref().is_some_and(is_clogged),
        }
    }

    /// Why there is no connection, as far as that is known.
    pub fn refusal(&self) -> String {
        match &self.0 {
            Kind::Socket(link) => {
                let reason = link.refusal().map_or("", |refusal| &refusal.reason);
                format!("refused by {}: {reason}", link.endpoint())
            }
            Kind::Inside(_) => String::new(),
        }
    }

    /// Waits until something was heard, or what was clogged has had a moment to leave, and appends all that is ready.
    /// Without a connection it waits for ever. Cancel safe.
    pub async fn recv(&mut self, heard: &mut Vec<Heard>) {
        match &mut self.0 {
            Kind::Socket(link) => link.recv(heard).await,
            Kind::Inside(inside) => inside.recv(heard).await,
        }
    }

    /// Gives what is still to leave the time to do so.
    pub async fn finish(self) {
        match self.0 {
            Kind::Socket(link) => link.finish().await,
            // Dropped it hands over what was said.
            Kind::Inside(inside) => drop(inside),
        }
    }
}

impl Inside {
    async fn recv(&mut self, heard: &mut Vec<Heard>) {
        let Self { connection, is_new, frames, .. } = self;
        let Some(there) = connection else { return std::future::pending().await };
        if std::mem::take(is_new) {
            return heard.push(Heard::Connected);
        }
        let is_clogged = is_clogged(there);
        let is_open = tokio::select! {
            biased;
            is_open = there.recv(frames) => is_open,
            () = tokio::time::sleep(CLOGGED_PAUSE), if is_clogged => true,
        };
        heard.extend(frames.drain(..).map(Heard::Message));
        if !is_open {
            heard.push(Heard::Disconnected);
            *connection = None;
        }
    }
}

fn is_clogged(connection: &Connection) -> bool {
    connection.waiting_bytes() >= WAITING_BYTES_MAX
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::local::{Event, Host};

    #[tokio::test]
    async fn waiting_bytes_max_within_the_process_is_met_and_ends_once_the_host_has_heard_what_was_said() {
        let mut host = Host::new(10, 100);
        let mut way = Way::inside(host.entrance());
        way.announce("me".into());
        way.open();
        let (mut heard, mut events) = (Vec::new(), Vec::new());
        way.recv(&mut heard).await;
        assert_eq!(heard, [Heard::Connected]);
        way.send([vec![0; WAITING_BYTES_MAX - 1]].into());
        way.flush();
        assert!(!way.is_clogged());
        way.send(["."].into());
        way.flush();
        assert!(way.is_clogged());
        way.recv(&mut heard).await;
        assert_eq!(heard.len(), 1, "a moment has passed, and nobody said anything");
        host.recv(&mut events).await;
        assert!(matches!(&events[0], Event::Connected { identity, .. } if identity == "me"));
        assert_eq!((events.len(), way.is_clogged()), (3, false));
    }

    #[tokio::test]
    async fn a_way_within_the_process_whose_host_is_gone_is_told_so_once_and_at_each_new_attempt() {
        let host = Host::new(10, 100);
        let mut way = Way::inside(host.entrance());
        drop(host);
        for _ in 0..2 {
            let mut heard = Vec::new();
            way.open();
            way.recv(&mut heard).await;
            way.recv(&mut heard).await;
            assert_eq!(heard, [Heard::Connected, Heard::Disconnected]);
            way.send(["to nobody"].into());
            assert!(!way.is_clogged());
        }
    }
}
