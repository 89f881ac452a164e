//! The table in force: asked by every handshake, replaced as a whole.

use std::sync::Arc;

use runtime::zmtp::{Applicant, Authority, Decision};
use tokio::sync::watch;
use tokio::task::AbortHandle;

use super::error::Error;
use super::peers::Peers;
use super::refusals::Refusals;
use super::sources::{Sources, Watched, hangup};

/// Who may come in at present. Clones are the same table.
///
/// ```no_run
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// use broker::access::{AllowTable, Sources};
///
/// let sources = Sources { allow: Some("allow.toml".into()), ..Sources::default() };
/// let table = AllowTable::open(sources)?;
/// let (endpoints, config, options) = (["tcp://127.0.0.1:0".parse()?], Default::default(), Default::default());
/// let server = broker::Server::bind_for(&endpoints, config, options, table).await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct AllowTable {
    peers: Arc<watch::Sender<Arc<Peers>>>,
    refusals: Arc<Refusals>,
    watched: Option<Arc<Watched>>,
}

/// Ends the watching of files when dropped.
#[derive(Debug)]
pub(crate) struct Following(AbortHandle);

impl AllowTable {
    /// A table that changes only by [`replace`](Self::replace).
    pub fn new(peers: Peers) -> Self {
        Self { peers: Arc::new(watch::Sender::new(Arc::new(peers))), refusals: Arc::default(), watched: None }
    }

    /// The table that files describe. A server that is given it follows their changes.
    ///
    /// # Errors
    /// The first thing that is wrong in a file.
    pub fn open(sources: Sources) -> Result<Self, Error> {
        let mut watched = Watched::new(sources);
        let peers = watched.load()?;
        Ok(Self { watched: Some(Arc::new(watched)), ..Self::new(peers) })
    }

    /// The table as it is now.
    pub fn current(&self) -> Arc<Peers> {
        Arc::clone(&self.peers.borrow())
    }

    /// Puts another table in force. A server cuts off who is not in it.
    pub fn replace(&self, peers: Peers) {
        self.peers.send_replace(Arc::new(peers));
    }

    /// How many peers were turned away so far.
    pub fn refused(&self) -> u64 {
        self.refusals.count()
    }

    /// What a socket asks about each peer (RFC 27).
    pub fn authority(&self) -> Authority {
        let table = self.clone();
        Authority::new(move |applicant| table.decide(applicant))
    }

    fn decide(&self, applicant: &Applicant<'_>) -> Decision {
        let decision = self.current().decide(&applicant.credentials);
        if let Decision::Refuse(_) = decision {
            self.refusals.note(applicant);
        }
        decision
    }

    /// Tells of each table that is put in force from now on.
    pub(crate) fn changes(&self) -> watch::Receiver<Arc<Peers>> {
        self.peers.subscribe()
    }

    /// Begins to follow the files, if there are any. SIGHUP is listened to once this has returned. Must be called
    /// within a tokio runtime.
    pub(crate) fn follow(&self) -> Option<Following> {
        let watched = Watched::clone(self.watched.as_ref()?);
        Some(Following(tokio::spawn(watched.follow(self.clone(), hangup())).abort_handle()))
    }
}

impl Drop for Following {
    fn drop(&mut self) {
        self.0.abort();
    }
}
