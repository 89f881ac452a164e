//! `majordomo mesh chat`: lines of standard input go to a group, and what others say is printed.
//!
//! Lines wait until somebody of the group is there, two seconds at most, so that a line piped in is not said to an
//! empty room. The end of the input is the end of the chat, unless there was no line at all: then it only listens.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use mesh::{Event, Events, Frames, GroupName, Mesh, NodeId, Settings};
use runtime::Shutdown;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};

use super::line;
use crate::args::Chat;
use crate::discovery::{enter, settings};
use crate::output;
use crate::security::member_trust;
use crate::usage::Unsuccessful;

/// Who is in the mesh, and whether somebody is in the room.
struct Room {
    mesh: Mesh,
    group: GroupName,
    names: BTreeMap<NodeId, Arc<str>>,
    is_open: bool,
    json: bool,
}

/// How long lines wait for somebody to hear them.
const EMPTY_ROOM_MAX: Duration = Duration::from_secs(2);
/// Lines that wait to be said.
const LINES_MAX: usize = 64;

pub(super) async fn run(chat: Chat, json: bool) -> Result<(), Unsuccessful> {
    let shutdown = Shutdown::on_signals().context("cannot follow signals")?;
    let groups = vec![chat.group.clone()];
    let contests = if chat.contest { groups.clone() } else { Vec::new() };
    let settings = settings(&chat.discovery, member_trust(&chat.keys)?);
    let (mesh, events) = enter(Settings { name: Some(chat.name), groups, contests, ..settings }).await?;
    let mut room = Room { mesh, group: chat.group, names: BTreeMap::new(), is_open: false, json };
    let ended = room.talk(events, lines(), shutdown).await;
    room.mesh.leave().await;
    Ok(ended?)
}

/// Standard input, line by line, read in a thread of its own: nothing waits for it when the process ends.
fn lines() -> mpsc::Receiver<std::io::Result<String>> {
    let (sender, lines) = mpsc::channel(LINES_MAX);
    std::thread::spawn(move || {
        for line in std::io::stdin().lines() {
            if sender.blocking_send(line).is_err() {
                return;
            }
        }
    });
    lines
}

impl Room {
    async fn talk(
        &mut self,
        mut events: Events,
        mut input: mpsc::Receiver<std::io::Result<String>>,
        mut shutdown: Shutdown,
    ) -> anyhow::Result<()> {
        let opens = Instant::now() + EMPTY_ROOM_MAX;
        let (mut has_said, mut listens_only) = (false, false);
        loop {
            tokio::select! {
                event = events.recv() => match event {
                    Some(event) => self.hear(&event)?,
                    None => return Ok(()),
                },
                said = input.recv(), if self.is_open && !listens_only => match said {
                    Some(said) => {
                        has_said = true;
                        self.say(&said.context("cannot read standard input")?).await?;
                    }
                    None if has_said => return Ok(()),
                    None => listens_only = true,
                },
                () = sleep_until(opens), if !self.is_open => self.is_open = true,
                () = shutdown.wished() => return Ok(()),
            }
        }
    }

    async fn say(&self, said: &str) -> anyhow::Result<()> {
        let Some(rest) = said.strip_prefix("/whisper ") else {
            return Ok(self.mesh.shout(self.group.clone(), Frames::from([said.to_owned()])).await?);
        };
        // A name may hold spaces, and several nodes may have the same.
        let to = |name: &str| rest.strip_prefix(name)?.strip_prefix(' ');
        let mut is_known = false;
        for (node, text) in self.names.iter().filter_map(|(node, name)| Some((*node, to(name)?))) {
            self.mesh.whisper(node, Frames::from([text.to_owned()])).await?;
            is_known = true;
        }
        if !is_known {
            eprintln!("nobody of that name is here (usage: /whisper NAME TEXT)");
        }
        Ok(())
    }

    fn hear(&mut self, event: &Event) -> anyhow::Result<()> {
        match event {
            Event::Enter { node, name, .. } => drop(self.names.insert(*node, Arc::clone(name))),
            Event::Exit { node, .. } => drop(self.names.remove(node)),
            Event::Join { group, .. } if *group == self.group => self.is_open = true,
            _ => {}
        }
        if self.json {
            return line::print(event, true);
        }
        match event {
            Event::Shout { name, group, content, .. } if *group == self.group => {
                output::line(&format!("{}: {}", name.escape_debug(), line::plain(content)))
            }
            Event::Whisper { name, content, .. } => {
                output::line(&format!("{} whispers: {}", name.escape_debug(), line::plain(content)))
            }
            Event::Join { name, group, .. } if *group == self.group => {
                output::line(&format!("* {} is here", name.escape_debug()))
            }
            Event::Leave { name, group, .. } if *group == self.group => {
                output::line(&format!("* {} has left the room", name.escape_debug()))
            }
            Event::Leader { name, group, .. } if *group == self.group => {
                output::line(&format!("* {} leads", name.escape_debug()))
            }
            Event::Exit { name, .. } => output::line(&format!("* {} is gone", name.escape_debug())),
            _ => Ok(()),
        }
    }
}
