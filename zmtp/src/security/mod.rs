//! Who may come in, and what nobody else can read: the mechanisms NULL, PLAIN and CURVE, without input and output.

pub(crate) mod authority;
#[cfg(feature = "curve")]
pub mod curve;
pub(crate) mod exchange;
pub(crate) mod mechanism;
pub(crate) mod plain;
pub(crate) mod public_key;
