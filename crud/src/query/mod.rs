//! The part of MongoDB's query and update language that every store of this service has: parsing and meaning.
//!
//! One parser decides what is allowed, before any store sees a request, so that both refuse the same things in the
//! same words. The meaning is MongoDB's; the embedded store evaluates it with [`matching`] and [`apply`], MongoDB
//! does itself what its server does, and a differential test holds the two together.
//!
//! | query | `{path: value}`, `$eq $ne $gt $gte $lt $lte $in $exists $not` on a path, `$and $or` around queries |
//! |---|---|
//! | update | `$set $unset $inc $push` |

pub mod apply;
pub mod filter;
pub mod matching;
pub mod path;
pub mod update;

pub use apply::Inapplicable;
pub use filter::Filter;
pub use path::Path;
pub use update::Update;
