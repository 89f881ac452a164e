//! Where the mesh is looked for, as the flags say; and `mesh:` and `mesh:NAME` in place of a broker's endpoint.

use std::time::Duration;

use anyhow::anyhow;
pub(crate) use mesh::Found;
use mesh::{Error, Events, HOST_HEADER, Mesh, Offer, Settings, Spread, Trust, Wanted};

use crate::args::{Discovery, Place, Security};
use crate::security;
use crate::usage::{Problem, Unsuccessful};

/// How the flags say that a mesh is looked for. With `trust` it is that of those who have keys.
pub(crate) fn settings(discovery: &Discovery, trust: Option<Trust>) -> Settings {
    let spread = match discovery.multicast {
        Some(std::net::IpAddr::V4(group)) => Spread::Multicast(group),
        Some(std::net::IpAddr::V6(group)) => Spread::Multicast6(group),
        None => Spread::Broadcast,
    };
    Settings {
        mesh: discovery.mesh_name.clone(),
        interfaces: discovery.interface.clone(),
        spread,
        peers: discovery.peer.clone(),
        gossip: discovery.gossip.clone(),
        gossip_bind: discovery.gossip_bind.clone(),
        beacon_port: discovery.beacon_port,
        expiry: discovery.mesh_expiry,
        trust,
        headers: [(HOST_HEADER.to_owned(), mesh::host())].into(),
        ..Settings::default()
    }
}

/// Takes part. A name, a group or an interface that cannot be is bad usage.
pub(crate) async fn enter(settings: Settings) -> Result<(Mesh, Events), Unsuccessful> {
    Mesh::enter(settings).await.map_err(failure)
}

/// Where the broker is. One in the mesh is waited for, as long as `patience` lasts.
pub(crate) async fn find(
    place: &Place,
    discovery: &Discovery,
    security: &Security,
    service: Option<&str>,
    patience: Option<Duration>,
) -> Result<Found, Unsuccessful> {
    let broker = match place {
        Place::Endpoint(endpoint) => return Ok(Found::fixed(endpoint.clone())),
        Place::Mesh(name) => name.clone(),
    };
    let trust = security::trust(security)?;
    let finding = mesh::find(settings(discovery, trust), Wanted { broker, service: service.map(str::to_owned) });
    let found = match patience {
        Some(patience) => tokio::time::timeout(patience, finding).await,
        None => Ok(finding.await),
    };
    found.map_err(|_| anyhow!("no broker was found by {place}"))?.map_err(failure)
}

/// What all brokers of the mesh offer.
pub(crate) async fn offers(discovery: &Discovery, security: &Security) -> Result<Vec<Offer>, Unsuccessful> {
    mesh::offers(settings(discovery, security::trust(security)?)).await.map_err(failure)
}

fn failure(error: Error) -> Unsuccessful {
    match error {
        Error::Misuse(_) | Error::Network(_) => Problem::new(error.to_string()).into(),
        error => anyhow::Error::from(error).into(),
    }
}
