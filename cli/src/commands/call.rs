//! `majordomo call`: one request, the Lazy Pirate way; the reply goes to standard output, a frame a line.

use anyhow::Context;
use bytes::Bytes;
use client::{Frames, LazyPirate};
use mesh::Found;
use serde_json::json;
use tokio::io::AsyncReadExt;

use crate::args::{Call, Discovery, Patience, Place, Security};
use crate::discovery;
use crate::output;
use crate::security;
use crate::usage::{Problem, Unsuccessful};

pub(super) async fn run(settings: Call, json: bool) -> Result<(), Unsuccessful> {
    let body = body(&settings.body).await?;
    // What every broker answers itself, none announces.
    let service = (!settings.service.is_management()).then(|| settings.service.to_string());
    let found =
        find(&settings.broker, &settings.discovery, &settings.security, service.as_deref(), &settings.patience).await?;
    let mut pirate = pirate(&found, &settings.patience, &settings.security)?;
    let reply = pirate.request(settings.service.as_bytes(), body).await.map_err(anyhow::Error::from)?;
    if json {
        let frames: Vec<_> = reply.body.iter().map(output::frame).collect();
        output::json(&json!({ "service": settings.service.to_string(), "frames": frames }))?;
        return Ok(());
    }
    for frame in &reply.body {
        output::bytes(frame)?;
    }
    Ok(())
}

/// A Lazy Pirate as the flags describe it.
pub(super) fn pirate(found: &Found, patience: &Patience, security: &Security) -> Result<LazyPirate, Problem> {
    let options = found.follow(security::connecting(security)?);
    let pirate = LazyPirate::new(found.endpoint.to_string()).timeout(patience.timeout).retries(patience.retries);
    Ok(pirate.socket_options(options))
}

/// The broker, which is waited for as long as its answer would be.
pub(super) async fn find(
    place: &Place,
    discovery: &Discovery,
    security: &Security,
    service: Option<&str>,
    patience: &Patience,
) -> Result<Found, Unsuccessful> {
    let patience = patience.timeout.saturating_mul(patience.retries);
    discovery::find(place, discovery, security, service, Some(patience)).await
}

/// The frames that the arguments stand for; one empty frame for none.
pub(super) async fn body(arguments: &[String]) -> Result<Frames, Unsuccessful> {
    let mut body = Frames::new();
    for argument in arguments {
        body.push(frame(argument).await?);
    }
    if body.is_empty() {
        body.push(Bytes::new());
    }
    Ok(body)
}

async fn frame(argument: &str) -> Result<Bytes, Unsuccessful> {
    if argument == "-" {
        let mut input = Vec::new();
        tokio::io::stdin().read_to_end(&mut input).await.context("cannot read standard input")?;
        return Ok(input.into());
    }
    match argument.strip_prefix('@') {
        Some(path) => match tokio::fs::read(path).await {
            Ok(content) => Ok(content.into()),
            Err(error) => Err(Problem::new(format!("{argument}: {error}")).into()),
        },
        None => Ok(Bytes::copy_from_slice(argument.as_bytes())),
    }
}
