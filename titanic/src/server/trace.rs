//! Events as log lines.

use worker::Event as Worker;

use crate::desk::Event;
use crate::store::Event as Store;

pub(super) fn trace(event: &Event) {
    match event {
        Event::Store(event @ Store::Stopped(_)) => tracing::error!("{event}"),
        Event::Store(event @ (Store::Up(_) | Store::Down(_))) => tracing::info!("{event}"),
        Event::Store(event) => tracing::warn!("{event}"),
        Event::Worker(event) => match event {
            Worker::Registered { .. } | Worker::FellBack { .. } | Worker::Draining { .. } => tracing::info!("{event}"),
            // The answer to our own wish to leave, or to an operator's.
            Worker::Dismissed { status: 200, .. } => tracing::info!("{event}"),
            Worker::Lost { .. } | Worker::Abandoned { .. } | Worker::NotOffered { .. } | Worker::Dismissed { .. } => {
                tracing::warn!("{event}");
            }
            // These may come as often as a peer likes.
            _ => tracing::debug!("{event}"),
        },
        Event::Client(event) => tracing::debug!(?event),
    }
}
