//! `--cache`: which cache, as text.

use std::str::FromStr;
use std::sync::Arc;

use super::memory::Memory;
use super::redis::Redis;
use super::{Cache, NoCache};
use crate::refusal::{Refusal, without_secrets};

/// What keeps answers.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Address {
    /// `redis://…`: a server that several workers share.
    Redis(String),
    /// `memory:`: this process. Of several workers with one, a single one caches at a time.
    Memory,
    /// `none`: nothing.
    #[default]
    None,
}

impl FromStr for Address {
    type Err = Refusal;

    fn from_str(text: &str) -> Result<Self, Refusal> {
        let shown = without_secrets(text);
        match text {
            "none" => Ok(Self::None),
            "memory:" => Ok(Self::Memory),
            text if text.starts_with("redis://") => match Redis::check(text) {
                Ok(()) => Ok(Self::Redis(text.into())),
                Err(reason) => Err(Refusal::new(format!("\"{shown}\" is not a cache: {reason}; {ALLOWED}"))),
            },
            _ => Err(Refusal::new(format!("\"{shown}\" is not a cache; {ALLOWED}"))),
        }
    }
}

impl Address {
    /// Opens the cache. A Redis that is not there now is used once it is.
    pub async fn open(&self) -> Arc<dyn Cache> {
        match self {
            Self::Redis(url) => match Redis::connect(url).await {
                Some(redis) => Arc::new(redis),
                None => Arc::new(NoCache),
            },
            Self::Memory => Arc::new(Memory::new()),
            Self::None => Arc::new(NoCache),
        }
    }
}

const ALLOWED: &str = "allowed are redis://HOST[:PORT][/DB], memory: and none";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_three_caches_are_read() {
        assert_eq!("none".parse(), Ok(Address::None));
        assert_eq!("memory:".parse(), Ok(Address::Memory));
        assert_eq!("redis://127.0.0.1:6379/1".parse(), Ok(Address::Redis("redis://127.0.0.1:6379/1".into())));
    }

    #[test]
    fn anything_else_is_refused_with_what_is_allowed() {
        for wrong in ["", "memory", "rediss://a", "redis:", "redis://a:port", "sqlite:a"] {
            let reason = wrong.parse::<Address>().unwrap_err().to_string();
            assert!(reason.contains("allowed are redis://HOST"), "{wrong}: {reason}");
        }
    }
}
