//! The worker SDK: serve a Majordomo service in ten lines.

pub use protocol::{Frames, ServiceName};
