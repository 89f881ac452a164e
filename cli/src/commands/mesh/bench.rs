//! `majordomo mesh bench`: says messages to one member of a full mesh, which says each to all others, and shows how
//! many a second all have, and after how long.

use std::fs::OpenOptions;
use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context, anyhow};
use mesh::fixed::Client;
use protocol::limits;
use runtime::Shutdown;
use serde_json::Value;
use tokio::task::JoinSet;

use super::fixed::{client, list};
use crate::args::MeshBench;
use crate::commands::bench::course::{Course, bar, gather};
use crate::commands::bench::tally::{Load, Summary, Tally, Target};
use crate::output;
use crate::usage::{Problem, Unsuccessful};

pub(super) async fn run(settings: MeshBench, json: bool) -> Result<(), Unsuccessful> {
    let mut end = Shutdown::on_signals().map_err(anyhow::Error::from)?;
    let text: Arc<str> = "m".repeat(bytes(&settings)?).into();
    // A file that cannot be written is told before the run, and not after it.
    settings.results.as_deref().map(|path| append(path, None)).transpose()?;
    let clients = (0..settings.clients).map(|_| client(&settings.peers, &settings.name, &settings.patience));
    let clients = clients.collect::<Result<Vec<Client>, Unsuccessful>>()?;
    let course = Arc::new(Course::new(settings.messages, settings.duration));
    let progress = bar(&course);
    let mut callers = JoinSet::new();
    for client in &clients {
        for _ in 0..settings.outstanding {
            callers.spawn(send_until_the_end(client.clone(), Arc::clone(&text), Arc::clone(&course)));
        }
    }
    let tally = tokio::select! {
        tally = gather(&mut callers, &course, &progress) => tally,
        () = end.wished() => {
            course.stop();
            gather(&mut callers, &course, &progress).await
        }
    };
    let elapsed = course.elapsed();
    progress.finish_and_clear();
    let load = Load {
        target: Target::Member(settings.name.clone()),
        clients: settings.clients,
        outstanding: settings.outstanding,
        bytes: settings.size.as_u64(),
    };
    report(&settings, &Summary::new(load, &tally, elapsed), json)
}

fn bytes(settings: &MeshBench) -> Result<usize, Problem> {
    let bytes = usize::try_from(settings.size.as_u64()).unwrap_or(usize::MAX);
    if bytes <= limits::ZMQNET_TEXT_BYTES_MAX {
        return Ok(bytes);
    }
    Err(Problem::new(format!("--size {}: allowed are up to {} bytes", settings.size, limits::ZMQNET_TEXT_BYTES_MAX)))
}

async fn send_until_the_end(client: Client, text: Arc<str>, course: Arc<Course>) -> Tally {
    let mut tally = Tally::default();
    while course.takes_another() {
        let begun = Instant::now();
        match client.send(&text).await {
            Ok(receipt) if receipt.missing.is_empty() => tally.answered(begun.elapsed()),
            Ok(receipt) => tally.fail("missing", format!("not acknowledged by {}", list(&receipt.missing))),
            Err(error) => tally.fail("no answer", error.to_string()),
        }
        course.one_is_done();
    }
    tally
}

fn report(settings: &MeshBench, summary: &Summary, json: bool) -> Result<(), Unsuccessful> {
    let object = serde_json::to_value(summary).map_err(anyhow::Error::from)?;
    if json {
        output::json(&object)?;
    } else {
        for line in summary.table() {
            output::line(&line)?;
        }
    }
    settings.results.as_deref().map(|path| append(path, Some(&object))).transpose()?;
    match summary.first_failure() {
        None => Ok(()),
        Some(failure) => Err(anyhow!("{} of {} messages failed: {failure}", summary.failed, summary.requests).into()),
    }
}

/// Opens the file, and writes an object behind what is there.
fn append(path: &Path, object: Option<&Value>) -> anyhow::Result<()> {
    let file = OpenOptions::new().append(true).create(true).open(path);
    let mut file = file.with_context(|| format!("--results {}", path.display()))?;
    if let Some(object) = object {
        writeln!(file, "{object}").with_context(|| format!("--results {}", path.display()))?;
    }
    Ok(())
}
