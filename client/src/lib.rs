//! The client SDK: Lazy Pirate and asynchronous Majordomo clients.

pub use protocol::{Frames, ServiceName};
