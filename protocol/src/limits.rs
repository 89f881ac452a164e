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

/// Options of one list of MDP 0.3, the unknown ones included.
pub const OPTIONS_MAX: usize = 32;
/// Bytes of the options of a 0.3 message, all together.
pub const OPTIONS_BYTES_MAX: usize = 2048;
/// Bytes of the options of one service in a READY of 0.3: a schema may be long.
pub const OFFER_OPTIONS_BYTES_MAX: usize = 16 << 10;
/// Bytes of a whole READY of 0.3.
pub const READY_BYTES_MAX: usize = 64 << 10;
/// Services that one worker of 0.3 may offer.
pub const SERVICES_PER_WORKER_MAX: usize = 64;
/// Requests that one worker of 0.3 may have at once.
pub const CREDIT_MAX: u32 = 65_536;
/// Bytes of the reason in words behind a status of 0.3.
pub const REASON_BYTES_MAX: usize = 512;
/// Bytes of the list of endpoints that a 0.3 broker sends its peers to.
pub const ENDPOINTS_BYTES_MAX: usize = 1024;
/// Bytes of the name or the version of a 0.3 worker or service.
pub const LABEL_BYTES_MAX: usize = 255;
/// Bytes of the description of a 0.3 worker or service.
pub const DESCRIPTION_BYTES_MAX: usize = 1024;
/// Bytes of a W3C `traceparent`: version 00 has 55; later ones may have more.
pub const TRACEPARENT_BYTES_MAX: usize = 128;
/// Bytes of a W3C `tracestate`.
pub const TRACESTATE_BYTES_MAX: usize = 512;
/// The longest interval between heartbeats that a 0.3 peer may announce.
pub const HEARTBEAT_INTERVAL_MAX: Duration = Duration::from_secs(60);

/// How long a drain may take unless somebody says otherwise (MDP 0.3, "Limits and timing").
pub const DRAIN_GRACE: Duration = Duration::from_secs(30);
/// The longest that may be said.
pub const DRAIN_GRACE_MAX: Duration = Duration::from_secs(24 * 60 * 60);

/// Bytes of the first frame of a ZRE message: HELLO with all its groups and headers.
pub const ZRE_COMMAND_BYTES_MAX: usize = 64 << 10;
/// Groups that one node of a mesh may be in.
pub const ZRE_GROUPS_MAX: u32 = 1024;
/// Headers of one node of a mesh.
pub const ZRE_HEADERS_MAX: u32 = 256;

/// Bytes of a text in a full mesh whose members stand in a file.
pub const ZMQNET_TEXT_BYTES_MAX: usize = 1 << 20;
/// Bytes of the name of one of its members.
pub const ZMQNET_NAME_BYTES_MAX: usize = 255;
/// Members that it may have.
pub const ZMQNET_MEMBERS_MAX: usize = 1024;

/// Bytes of a value of gossip: an endpoint and a key are a few hundred at most.
pub const GOSSIP_VALUE_BYTES_MAX: usize = 1024;

/// How often each side of MDP shows that it lives.
pub const HEARTBEAT_INTERVAL: Duration = Duration::from_millis(2500);
/// How many silent intervals make a peer dead.
pub const HEARTBEAT_LIVENESS: u32 = 3;
