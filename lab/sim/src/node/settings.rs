//! The settings of a broker, out of its plan.

use std::time::Duration;

use broker::{Config, ErrorReplies, Limits, NoWorker, Policy};

use crate::plan;

/// What is not planned is as it is by default.
pub(super) fn of(plan: &plan::Broker) -> Config {
    Config {
        heartbeat: Duration::from_millis(plan.heartbeat_ms),
        liveness: plan.liveness,
        limits: Limits {
            queued_requests_max: plan.queued_requests_max,
            queued_bytes_max: plan.queued_bytes_max,
            services_max: plan.services_max,
            gathered_bytes_max: plan.gathered_bytes_max,
            kept_window: Duration::from_millis(plan.kept_window_ms),
            kept_answers_max: plan.kept_answers_max,
            kept_bytes_max: plan.kept_bytes_max,
            ..Limits::default()
        },
        policy: Policy {
            no_worker: if plan.refuse { NoWorker::Refuse } else { NoWorker::Queue },
            queue_max: plan.queue_max,
            queue_wait: Duration::from_millis(plan.queue_wait_ms),
            busy_timeout: Duration::from_millis(plan.busy_timeout_ms),
            attempts_max: plan.attempts_max,
            run_abandoned: plan.run_abandoned,
        },
        error_replies: if plan.status_frames { ErrorReplies::StatusFrame } else { ErrorReplies::Silence },
        ..Config::default()
    }
}
