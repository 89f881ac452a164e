//! `majordomo drain`: lets a service, a worker or the whole broker finish what it has, and gives it nothing more.

use std::time::Duration;

use anyhow::anyhow;
use client::{Frames, LazyPirate};
use serde_json::json;

use super::call::{find, pirate};
use crate::args::Drain;
use crate::output;
use crate::usage::{Problem, Unsuccessful};

pub(super) async fn run(settings: Drain, json: bool) -> Result<(), Unsuccessful> {
    let found = find(&settings.broker, &settings.discovery, &settings.security, None, &settings.patience).await?;
    let mut pirate = pirate(&found, &settings.patience, &settings.security)?;
    let (question, kinds): (_, &[&str]) = match (&settings.name, settings.all, settings.resume) {
        (None, true, false) => ("mmi.drain", &["broker"]),
        (Some(_), false, false) => ("mmi.drain", &["service", "worker"]),
        (Some(_), false, true) => ("mmi.resume", &["service"]),
        _ => return Err(Problem::new("drain: allowed is either NAME or --all, and --resume with NAME".into()).into()),
    };
    let name = settings.name.as_deref();
    let grace = (!settings.resume).then_some(settings.grace);
    for kind in kinds {
        if is_done(&mut pirate, question, kind, name, grace).await? {
            return tell(kind, name, settings.resume, json);
        }
    }
    let name = name.unwrap_or_default().escape_debug();
    Err(anyhow!("{}: the broker knows no {} {name}", settings.broker, kinds.join(" and no ")).into())
}

/// Asks the broker; whether it knows somebody of that kind and name.
async fn is_done(
    pirate: &mut LazyPirate,
    question: &str,
    kind: &str,
    name: Option<&str>,
    grace: Option<Duration>,
) -> anyhow::Result<bool> {
    let mut body = Frames::from([kind.to_owned()]);
    body.extend(name.map(|name| bytes::Bytes::copy_from_slice(name.as_bytes())));
    body.extend(grace.map(|grace| bytes::Bytes::from(grace.as_millis().to_string())));
    let reply = pirate.request(question, body).await?;
    let code = reply.body.first().map(AsRef::as_ref).unwrap_or_default();
    match code.get(..3) {
        Some(b"200") => Ok(true),
        Some(b"404") => Ok(false),
        Some(b"501") => Err(anyhow!("{question}: this broker does not know the question")),
        _ => Err(anyhow!("{question}: {}", String::from_utf8_lossy(code).escape_debug())),
    }
}

fn tell(kind: &str, name: Option<&str>, resumed: bool, json: bool) -> Result<(), Unsuccessful> {
    let state = if resumed { "resumed" } else { "draining" };
    if json {
        return Ok(output::json(&json!({ "kind": kind, "name": name, "state": state }))?);
    }
    let name = name.map(|name| format!(" {}", name.escape_debug())).unwrap_or_default();
    Ok(output::line(&format!("{kind}{name}: {state}"))?)
}
