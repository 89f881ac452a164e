//! The management interface (RFC 8).
