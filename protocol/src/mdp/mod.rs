//! The Majordomo protocol (RFC 7 and 18).
