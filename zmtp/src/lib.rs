//! ZMTP 3.1 sockets built for servers.

mod event;

pub use event::Event;
