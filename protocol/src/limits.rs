//! Every limit that protocol code enforces, in one table. Configurable ones are the defaults of their setting.
//!
//! A limit is compared before a byte is allocated. Each has a test that meets it, named for the limit.

use std::time::Duration;

/// Bytes of one frame, and of all the frames of one message together (64 MiB).
pub const MESSAGE_BYTES_MAX: usize = 64 << 20;
/// Frames of one message.
pub const FRAMES_PER_MESSAGE_MAX: usize = 1024;
/// Frames in front of the empty delimiter of a 0.1 client (REQ_CORRELATE sends one, a chain of proxies a few).
pub const ENVELOPE_FRAMES_MAX: usize = 16;
/// Bytes of a service name. RFC 7 says "printable string" and no limit.
pub const SERVICE_NAME_BYTES_MAX: usize = 255;
/// Bytes of a ZMTP identity (RFC 37).
pub const IDENTITY_BYTES_MAX: usize = 255;
/// Bytes of a command name in `mmi.filter`, which is the first body frame of the requests that it filters.
pub const FILTER_COMMAND_BYTES_MAX: usize = 255;
/// Commands of one service that may be disabled at once.
pub const FILTER_COMMANDS_PER_SERVICE_MAX: usize = 256;

/// How often each side of MDP shows that it lives.
pub const HEARTBEAT_INTERVAL: Duration = Duration::from_millis(2500);
/// How many silent intervals make a peer dead.
pub const HEARTBEAT_LIVENESS: u32 = 3;
