//! The names in the coverage table of what a broker tells about itself.

/// The name in the coverage table, for what can happen here. What no node makes happen yet has none: whoever adds such
/// a node adds the name there and here.
pub(crate) fn broker(event: &broker::Event) -> Option<&'static str> {
    use broker::{Departure, RequestEnd};
    use protocol::PeerFault;
    Some(match event {
        broker::Event::WorkerReady { .. } => "broker: worker ready",
        broker::Event::WorkerLeft { departure, .. } => match departure {
            Departure::Left => "broker: worker left",
            Departure::Closed => "broker: worker closed",
            Departure::Expired => "broker: worker expired",
            Departure::Expelled => "broker: worker expelled",
            Departure::Stalled => "broker: worker stalled",
            Departure::Shutdown => "broker: worker left at shutdown",
            Departure::Drained => "broker: worker drained",
        },
        broker::Event::Draining { service: Some(_) } => "broker: service drains",
        broker::Event::Draining { service: None } => "broker: drains",
        broker::Event::Requeued { .. } => "broker: requeued",
        broker::Event::RequestFailed { end, .. } => match end {
            RequestEnd::QueueFull => "broker: queue full",
            RequestEnd::BrokerFull => "broker: broker full",
            RequestEnd::NoWorker => "broker: no worker",
            RequestEnd::WaitedTooLong => "broker: waited too long",
            RequestEnd::AttemptsExhausted => "broker: attempts exhausted",
            RequestEnd::StreamBroken => "broker: stream broken",
            RequestEnd::ReplyTooLarge => "broker: reply too large",
            RequestEnd::RequestTooLarge => "broker: request too large",
            RequestEnd::Disabled => "broker: disabled",
            RequestEnd::Abandoned => "broker: abandoned",
            RequestEnd::Duplicate => "broker: duplicate",
            RequestEnd::Cancelled => "broker: cancelled",
            RequestEnd::Overdue => "broker: overdue",
            RequestEnd::Draining => "broker: refused while draining",
            RequestEnd::NotWorkedOff => "broker: not worked off",
            RequestEnd::BrokerEnds => "broker: cut off by the end",
            #[allow(unreachable_patterns, reason = "room for ends that this simulation cannot bring about yet")]
            _ => return None,
        },
        broker::Event::Fault { fault, .. } => match fault {
            PeerFault::Header => "broker: fault header",
            PeerFault::Envelope => "broker: fault envelope",
            PeerFault::Missing(_) => "broker: fault missing frame",
            PeerFault::Trailing(_) => "broker: fault trailing frame",
            PeerFault::Command => "broker: fault command",
            PeerFault::ServiceName(_) => "broker: fault service name",
            PeerFault::Address => "broker: fault address",
            PeerFault::RequestId => "broker: fault request id",
            PeerFault::Value { .. } => "broker: fault value",
            PeerFault::Repeated(_) => "broker: fault repeated",
            PeerFault::Option(_) => "broker: fault option",
            #[allow(unreachable_patterns, reason = "room for faults of dialects that no node here speaks yet")]
            _ => return None,
        },
        #[allow(unreachable_patterns, reason = "room for what this simulation cannot bring about yet")]
        _ => return None,
    })
}
