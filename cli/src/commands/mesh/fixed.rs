//! `majordomo mesh serve` and `mesh send`: a full mesh whose members stand in a file.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, anyhow};
use mesh::fixed::{Client, Error, Event, Events, Patience, Receipt, Roster, Server};
use runtime::Shutdown;
use runtime::zmtp::{Endpoint, EndpointError, Options};
use serde_json::{Value, json};
use tokio::sync::oneshot;

use crate::args::{MeshSend, MeshServe, Peers};
use crate::output;
use crate::security;
use crate::usage::{Problem, Unsuccessful};

/// The name of the variable that zmqnet reads.
const PEERS_PATH: &str = "PEERS_PATH";
/// What is looked for without a flag and a variable.
const PEERS_FILE: &str = "peers.json";
/// How long the end waits for what is still to be printed.
const LAST_LINES: Duration = Duration::from_secs(1);
/// A file of more is none that somebody wrote.
const FILE_BYTES_MAX: u64 = 4 << 20;

pub(super) async fn serve(settings: MeshServe, json: bool) -> Result<(), Unsuccessful> {
    let (path, roster) = roster(&settings.peers)?;
    let own = roster.get(&settings.name).map_err(|fault| about(&path, &fault))?;
    let bind = match settings.bind.as_slice() {
        [] => vec![own.bind().parse().map_err(|error: EndpointError| about(&path, &error))?],
        given => given.to_vec(),
    };
    if !settings.insecure {
        bind.iter().try_for_each(security::refuse_clear)?;
    }
    let shutdown = Shutdown::on_signals().context("cannot follow signals")?;
    let patience = Patience::of(settings.timeout, settings.retries);
    let bound = Server::bind(&bind, &roster, &settings.name, patience, Options::default()).await;
    let (server, events) = bound.map_err(failure)?;
    let ready: String = server.endpoints().iter().map(|endpoint: &Endpoint| format!("ready {endpoint}\n")).collect();
    output::announce(&ready);
    let printed = print(events, json);
    server.run(shutdown).await;
    // Whoever does not read what is left does not keep us.
    let _ = tokio::time::timeout(LAST_LINES, printed).await;
    Ok(())
}

/// Prints in a thread of its own: whoever reads slowly makes the member take no more messages, and nothing else.
fn print(mut events: Events, json: bool) -> oneshot::Receiver<()> {
    let (done, printed) = oneshot::channel();
    std::thread::spawn(move || {
        while let Some(event) = events.blocking_recv() {
            output::announce(&line(&event, json));
        }
        // Nobody waits for us any more.
        let _ = done.send(());
    });
    printed
}

pub(super) async fn send(settings: MeshSend, json: bool) -> Result<(), Unsuccessful> {
    let client = client(&settings.peers, &settings.name, &settings.patience)?;
    let mut missing: Vec<String> = Vec::new();
    for (number, message) in settings.messages.iter().enumerate() {
        if number > 0 {
            tokio::time::sleep(settings.delay).await;
        }
        let receipt = client.send(message).await.map_err(failure)?;
        report(message, &receipt, json)?;
        missing.extend(receipt.missing);
    }
    missing.sort_unstable();
    missing.dedup();
    if missing.is_empty() { Ok(()) } else { Err(anyhow!("not acknowledged by {}", list(&missing)).into()) }
}

/// A client of the member of this name.
pub(super) fn client(peers: &Peers, name: &str, patience: &crate::args::Patience) -> Result<Client, Unsuccessful> {
    let (path, roster) = roster(peers)?;
    let member = roster.get(name).map_err(|fault| about(&path, &fault))?;
    let patience = Patience::of_client(patience.timeout, patience.retries);
    Client::connect(member, patience, Options::default()).map_err(failure)
}

pub(super) fn failure(error: Error) -> Unsuccessful {
    match error {
        Error::Endpoint(_) | Error::Roster(_) | Error::TooLong(_) => Problem::new(error.to_string()).into(),
        error => anyhow::Error::from(error).into(),
    }
}

fn report(message: &str, receipt: &Receipt, json: bool) -> anyhow::Result<()> {
    let Receipt { acknowledged, missing, said } = receipt;
    if json {
        return output::json(&json!({ "message": message, "acknowledged": acknowledged, "missing": missing }));
    }
    if missing.is_empty() {
        return output::line(&said.escape_debug().to_string());
    }
    output::line(&format!("acknowledged by {}", list(acknowledged)))
}

/// Names in a row. They come from the network: what is no plain text is written as an escape, and no name as `""`.
pub(super) fn list(names: &[String]) -> String {
    let shown = |name: &String| if name.is_empty() { "\"\"".to_owned() } else { name.escape_debug().to_string() };
    names.iter().map(shown).collect::<Vec<_>>().join(", ")
}

/// The file that is meant, and what it says.
fn roster(peers: &Peers) -> Result<(PathBuf, Roster), Problem> {
    let path = match (&peers.peers, std::env::var_os(PEERS_PATH).filter(|path| !path.is_empty())) {
        (Some(path), _) => path.clone(),
        (None, Some(path)) => path.into(),
        (None, None) if Path::new(PEERS_FILE).exists() => PEERS_FILE.into(),
        (None, None) => {
            let text =
                format!("no peers file (allowed: --peers FILE, {PEERS_PATH} in the environment, a {PEERS_FILE} here)");
            return Err(Problem::new(text));
        }
    };
    let bytes = std::fs::metadata(&path).map_err(|error| about(&path, &error))?.len();
    if bytes > FILE_BYTES_MAX {
        return Err(about(&path, &format!("{bytes} bytes (allowed: {FILE_BYTES_MAX})")));
    }
    let text = std::fs::read_to_string(&path).map_err(|error| about(&path, &error))?;
    let roster = Roster::parse(&text, &own_host()).map_err(|fault| about(&path, &fault))?;
    Ok((path, roster))
}

fn about(path: &Path, problem: &impl std::fmt::Display) -> Problem {
    Problem::new(format!("--peers {}: {problem}", path.display()))
}

/// What this machine is called; empty where nobody knows.
fn own_host() -> String {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    name.trim().to_owned()
}

/// An event as a line, with its end. What others say may hold anything, and a line is one line.
fn line(event: &Event, json: bool) -> String {
    if json {
        return format!("{}\n", object(event));
    }
    match event {
        Event::Message { via, text } => format!("{}: {}\n", via.escape_debug(), text.escape_debug()),
        Event::Up { name } => format!("* {name} is here\n"),
        Event::Down { name } => format!("* {name} is gone\n"),
        Event::Missing { names, text } => {
            format!("* not acknowledged by {}: {}\n", list(names), text.escape_debug())
        }
    }
}

fn object(event: &Event) -> Value {
    match event {
        Event::Message { via, text } => json!({ "event": "MESSAGE", "name": **via, "body": **text }),
        Event::Up { name } => json!({ "event": "UP", "name": **name }),
        Event::Down { name } => json!({ "event": "DOWN", "name": **name }),
        Event::Missing { names, text } => json!({ "event": "MISSING", "names": names, "body": **text }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_one_line_whatever_the_network_says() {
        let event = Event::Message { via: "a\nb".into(), text: "it\n\u{1b}[2J".into() };
        assert_eq!(line(&event, false), "a\\nb: it\\n\\u{1b}[2J\n");
        assert_eq!(line(&event, true).lines().count(), 1);
        let missing = Event::Missing { names: vec!["a".into(), "b".into()], text: "hi".into() };
        assert_eq!(line(&missing, false), "* not acknowledged by a, b: hi\n");
        let names = ["a\nb".to_owned(), String::new(), "\u{1b}[2J".to_owned()];
        assert_eq!(list(&names), "a\\nb, \"\", \\u{1b}[2J");
        assert_eq!(object(&missing), json!({ "event": "MISSING", "names": ["a", "b"], "body": "hi" }));
    }
}
