//! Short programs, each named for what it teaches; they are in `src/bin`.
//!
//! | program | teaches |
//! |---|---|
//! | `echo_worker` | a service is an async closure; a clean end on SIGINT and SIGTERM |
//! | `json_worker` | a handler from a value to a value; bad JSON is answered `400` |
//! | `streaming_worker` | a reply in parts, each sent when it is there |
//! | `tower_worker` | middleware from `tower` around a handler |
//! | `lazy_pirate` | a request that survives a broker's restart, and an error that says what happened |
//! | `ten_thousand_requests` | many requests under way on one connection |
//! | `deadline_and_cancel` | a request with terms of its own, and one that nobody wants any more |
//! | `find_services` | what a broker serves |
//! | `no_addresses` | a broker that is found in the mesh and followed when it moves; its arguments are other ones |
//!
//! Each takes the broker's endpoint as its first argument; without one it is `tcp://127.0.0.1:5555`.

/// The broker that the program was told of.
pub fn broker() -> String {
    std::env::args().nth(1).unwrap_or_else(|| "tcp://127.0.0.1:5555".to_owned())
}
