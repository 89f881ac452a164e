//! Documents: the one type that both stores and the wire share, its text, its order, its bytes as a key.
//!
//! A [`Document`] is MongoDB's own (crate `bson`). On the wire it is MongoDB extended JSON: canonical and relaxed are
//! understood, relaxed is answered.
//!
//! ```text
//! frame --json--> serde_json tree --extended JSON--> Document --value::check--> a document that both stores can hold
//! ```

pub mod json;
pub mod key;
pub mod order;
pub mod value;

pub use bson::{Bson, Document};
