//! `majordomo submit`, `fetch`, `close` and `dead`: what one asks a Titanic.

use anyhow::Context;
use client::{Client, Fetched, Frames, RequestId};
use serde_json::json;

use super::call::{body, find};
use crate::args::{AtTitanic, Close, Dead, Fetch, Submit};
use crate::output;
use crate::security;
use crate::usage::Unsuccessful;

pub(super) async fn submit(settings: Submit, json: bool) -> Result<(), Unsuccessful> {
    let body = body(&settings.body).await?;
    let client = client(&settings.at).await?;
    let (titanic, service) = (client.titanic(), settings.service.as_bytes());
    let id = match settings.id {
        Some(id) => titanic.submit_as(id, service, body).await,
        None => titanic.submit(service, body).await,
    };
    let id = text(id.map_err(anyhow::Error::from)?);
    if json {
        output::json(&json!({ "id": id }))?;
    } else {
        output::line(&id)?;
    }
    Ok(())
}

pub(super) async fn fetch(settings: Fetch, json: bool) -> Result<(), Unsuccessful> {
    let client = client(&settings.at).await?;
    match client.titanic().fetch(settings.id, settings.wait).await.map_err(anyhow::Error::from)? {
        Fetched::Answer(frames) => {
            print(&frames, json)?;
            Ok(())
        }
        Fetched::Pending => Err(anyhow::anyhow!("{} is not answered yet", text(settings.id)).into()),
        Fetched::Unknown => Err(Unsuccessful::Unknown(format!("{} is not known", text(settings.id)))),
    }
}

pub(super) async fn close(settings: Close) -> Result<(), Unsuccessful> {
    let client = client(&settings.at).await?;
    client.titanic().close(settings.id).await.map_err(anyhow::Error::from)?;
    Ok(())
}

pub(super) async fn dead(command: Dead, json: bool) -> Result<(), Unsuccessful> {
    let outcome = match command {
        Dead::List { at } => list(&client(&at).await?).await,
        Dead::Read(which) => read(&client(&which.at).await?, which.id, json).await,
        Dead::Replay(which) => {
            client(&which.at).await?.titanic().replay_dead(which.id).await.map_err(anyhow::Error::from)
        }
        Dead::Drop(which) => client(&which.at).await?.titanic().drop_dead(which.id).await.map_err(anyhow::Error::from),
    };
    outcome?;
    Ok(())
}

async fn read(client: &Client, id: RequestId, json: bool) -> anyhow::Result<()> {
    print(&client.titanic().read_dead(id).await?, json)
}

async fn list(client: &Client) -> anyhow::Result<()> {
    let mut after = None;
    loop {
        let rows = client.titanic().dead(after).await?;
        let Some(last) = rows.last() else { return Ok(()) };
        for row in &rows {
            output::bytes(row)?;
        }
        let last: serde_json::Value = serde_json::from_slice(last).context("a row that is no JSON object")?;
        let id = last.get("id").and_then(serde_json::Value::as_str).unwrap_or_default();
        let id = titanic::store::read_id(id.as_bytes()).context("a row without an id")?;
        after = Some(RequestId(id.0));
    }
}

fn print(frames: &Frames, json: bool) -> anyhow::Result<()> {
    if json {
        let frames: Vec<_> = frames.iter().map(output::frame).collect();
        return output::json(&json!({ "frames": frames }));
    }
    frames.iter().try_for_each(|frame| output::bytes(frame))
}

async fn client(at: &AtTitanic) -> Result<Client, Unsuccessful> {
    let options = security::connecting(&at.security)?;
    let found = find(&at.broker, &at.discovery, &at.security, Some("titanic.request"), &at.patience).await?;
    let builder = Client::builder(found.endpoint.to_string()).timeout(at.patience.timeout).retries(at.patience.retries);
    Ok(builder.socket_options(found.follow(options)).connect().map_err(anyhow::Error::from)?)
}

fn text(id: RequestId) -> String {
    titanic::log::Id(id.0).to_string()
}
