//! A command that `mmi.filter` has disabled is refused until it is enabled again, and no other is.

use std::collections::BTreeSet;

use bytes::Bytes;
use protocol::Frames;

/// What is disabled at one broker: commands of services.
#[derive(Debug, Default)]
pub(crate) struct Filters(BTreeSet<(Bytes, Bytes)>);

/// A change that the broker has been asked for.
#[derive(Debug)]
pub(crate) struct Change {
    enable: bool,
    service: Bytes,
    command: Bytes,
}

impl Filters {
    /// The change that a request to `service` asks for, if it does.
    pub(crate) fn change(service: &Bytes, frames: &Frames) -> Option<Change> {
        if **service != *b"mmi.filter" {
            return None;
        }
        let [.., operation, service, command] = &**frames else { return None };
        let enable = *operation == b"enable"[..];
        (enable || *operation == b"disable"[..]).then(|| Change {
            enable,
            service: service.clone(),
            command: command.clone(),
        })
    }

    /// The broker has said that it did.
    pub(crate) fn apply(&mut self, Change { enable, service, command }: Change) {
        if enable {
            self.0.remove(&(service, command));
        } else {
            self.0.insert((service, command));
        }
    }

    /// Whether a request to this service that begins with this frame is to be refused.
    pub(crate) fn covers(&self, service: &Bytes, command: Option<&Bytes>) -> bool {
        !self.0.is_empty() && command.is_some_and(|command| self.0.contains(&(service.clone(), command.clone())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_disabled_is_covered_until_it_is_enabled() {
        let (mut filters, management) = (Filters::default(), Bytes::from("mmi.filter"));
        let covers = |filters: &Filters, command: &str| filters.covers(&"s0".into(), Some(&command.to_owned().into()));
        let ask = |filters: &mut Filters, operation: &'static str| {
            let frames = Frames::from(["", "MDPC01", "mmi.filter", operation, "s0", "read"]);
            filters.apply(Filters::change(&management, &frames).unwrap());
        };
        ask(&mut filters, "disable");
        assert!(covers(&filters, "read") && !covers(&filters, "write"));
        ask(&mut filters, "enable");
        assert!(!covers(&filters, "read"));
        assert!(Filters::change(&"s0".into(), &["enable", "s0", "read"].into()).is_none());
    }
}
