//! The sockets under tokio: connections and their queues, listening and connecting.
//!
//! ```text
//!   Router ─► Listener ─► Reception ─► half-open: negotiate ─► Connection: Reader, Writer
//!   Dealer ──────────────────────────────────► negotiate ─► Connection: Reader, Writer
//!              owner ◄─ Line ◄─ Inlet ◄─ Reader      Writer ◄─ Outlet ◄─ owner
//! ```

pub(crate) mod budget;
pub(crate) mod connection;
pub(crate) mod dealer;
pub(crate) mod door;
pub(crate) mod endpoint;
pub(crate) mod event;
pub(crate) mod half_open;
pub(crate) mod held;
pub(crate) mod identities;
pub(crate) mod incoming;
pub(crate) mod inlet;
pub(crate) mod intake;
pub(crate) mod link;
pub(crate) mod listener;
pub(crate) mod liveness;
pub(crate) mod negotiate;
pub(crate) mod options;
pub(crate) mod outlet;
pub(crate) mod reader;
pub(crate) mod reception;
pub(crate) mod router;
pub(crate) mod sealing;
pub(crate) mod stats;
pub(crate) mod stream;
pub(crate) mod writer;
