//! `majordomo mesh watch`: a line for each thing that happens, until SIGINT or SIGTERM.

use anyhow::Context;
use mesh::{Event, Settings};
use runtime::Shutdown;

use super::line;
use crate::args::Watch;
use crate::discovery::{enter, settings};
use crate::security::member_trust;
use crate::usage::Unsuccessful;

pub(super) async fn run(watch: Watch, json: bool) -> Result<(), Unsuccessful> {
    let mut shutdown = Shutdown::on_signals().context("cannot follow signals")?;
    let joins_all = watch.group.is_empty() && watch.contest.is_empty();
    let settings = settings(&watch.discovery, member_trust(&watch.keys)?);
    let (groups, contests) = (watch.group, watch.contest);
    let (mesh, mut events) = enter(Settings { groups, contests, ..settings }).await?;
    loop {
        let event = tokio::select! {
            event = events.recv() => event,
            () = shutdown.wished() => None,
        };
        let Some(event) = event else { break };
        line::print(&event, json)?;
        if let Event::Join { group, .. } = event
            && joins_all
        {
            mesh.join(group).await.map_err(anyhow::Error::from)?;
        }
    }
    mesh.leave().await;
    Ok(())
}
