//! The settings of a Titanic's parts, out of its plan.

use std::time::Duration;

use bytes::Bytes;
use client::multiplex;
use client::speech::Speech;
use protocol::mdp::v03::{Offer, Options};
use titanic::log::{Geometry, Settings};
use titanic::store::{self, Verb};

use crate::plan;

pub(super) fn log(plan: &plan::Titanic) -> Settings {
    let geometry = Geometry::new(512, plan.chunk_bytes).expect("plans have sizes within their ranges");
    let (capacity_bytes, initial_bytes) = (geometry.file_bytes(plan.slots), geometry.file_bytes(3));
    Settings { capacity_bytes, initial_bytes, geometry: Some(geometry) }
}

pub(super) fn store_config(plan: &plan::Titanic) -> store::Config {
    let ttl = Some(plan.request_ttl_ms).filter(|ttl| *ttl > 0);
    store::Config {
        attempts_max: plan.attempts_max,
        call_timeout: Duration::from_millis(plan.call_timeout_ms),
        calls_per_service_max: plan.calls_per_service_max,
        backoff_first: Duration::from_millis(plan.backoff_first_ms),
        backoff_max: Duration::from_millis(plan.backoff_max_ms),
        request_ttl: ttl.map(Duration::from_millis),
        remembered_max: plan.remembered_max,
        waiters_max: plan.waiters_max,
        ..store::Config::default()
    }
}

/// As in the product: four services over MDP 0.3, which is the only dialect that has room for them.
pub(super) fn worker_config(plan: &plan::Titanic, seed: u64) -> worker::Config {
    let offer = |verb: Verb| Offer { service: verb.service().parse().expect("it is a name"), options: Options::none() };
    worker::Config {
        fallback: None,
        absence: Duration::from_millis(700),
        heartbeat: Duration::from_millis(800),
        reconnect_first: Duration::from_millis(50),
        reconnect_max: Duration::from_millis(800),
        shutdown_grace: Duration::from_millis(2000),
        credit: plan.credit,
        seed,
        ..worker::Config::of(Verb::ALL.map(offer).into())
    }
}

pub(super) fn caller_config(seed: u64) -> multiplex::Config {
    multiplex::Config {
        reconnect_first: Duration::from_millis(50),
        reconnect_max: Duration::from_millis(800),
        seed,
        salt: seed,
        identity: Bytes::from(format!("titanic {seed}")),
        ..multiplex::Config::new(Speech::default())
    }
}
