//! `majordomo mesh top`: the nodes of the mesh, live in a terminal; as JSON lines for scripts.
//!
//! ```text
//!   events of the mesh ──► Picture: who is there, in which groups, with which services
//!   its counters, twice ──┴─► rates ──► screen, or a JSON line
//! ```

mod picture;
mod screen;

use anyhow::Context;
use mesh::{Event, Events, Mesh, Settings};
use runtime::Shutdown;
use tokio::time::Instant;

use self::picture::Picture;
use self::screen::Screen;
use crate::args::MeshTop;
use crate::commands::top::terminal::{Reaction, beat, keys, needs_terminal};
use crate::discovery::{enter, settings};
use crate::output;
use crate::security::member_trust;
use crate::usage::Unsuccessful;

pub(super) async fn run(top: MeshTop, json: bool) -> Result<(), Unsuccessful> {
    if !json {
        needs_terminal("mesh top")?;
    }
    let mut shutdown = Shutdown::on_signals().context("cannot follow signals")?;
    let settings = settings(&top.discovery, member_trust(&top.keys)?);
    let (mesh, events) = enter(Settings { groups: top.group.clone(), ..settings }).await?;
    let picture = Picture::new(mesh.name(), &top.discovery.mesh_name, Instant::now().into_std());
    let mut looker = Looker { joins_all: top.group.is_empty(), top, mesh, events, picture };
    let outcome = tokio::select! {
        outcome = looker.look(json) => outcome,
        () = shutdown.wished() => Ok(()),
    };
    if !json {
        ratatui::restore();
    }
    looker.mesh.leave().await;
    Ok(outcome?)
}

/// Looks at the mesh, as a node of it.
struct Looker {
    joins_all: bool,
    top: MeshTop,
    mesh: Mesh,
    events: Events,
    picture: Picture,
}

impl Looker {
    async fn look(&mut self, json: bool) -> anyhow::Result<()> {
        if json { self.print().await } else { self.show().await }
    }

    async fn print(&mut self) -> anyhow::Result<()> {
        let mut beat = beat(self.top.interval);
        beat.tick().await;
        let mut shown = 0;
        while !self.is_enough(shown) {
            tokio::select! {
                event = self.events.recv() => match event {
                    Some(event) => self.hear(&event).await?,
                    None => return Ok(()),
                },
                _ = beat.tick() => {
                    let view = self.picture.look(Instant::now().into_std(), self.mesh.counters());
                    output::json(&serde_json::to_value(&view)?)?;
                    shown += 1;
                }
            }
        }
        Ok(())
    }

    async fn show(&mut self) -> anyhow::Result<()> {
        let mut terminal = ratatui::try_init().context("cannot use the terminal")?;
        let (mut keys, mut beat) = (keys(), beat(self.top.interval));
        let mut screen = Screen::default();
        let mut shown = 0;
        while !self.is_enough(shown) {
            tokio::select! {
                event = self.events.recv() => match event {
                    // Drawn with the next look: a thousand events are one picture.
                    Some(event) => {
                        self.hear(&event).await?;
                        continue;
                    }
                    None => return Ok(()),
                },
                _ = beat.tick() => {
                    screen.update(self.picture.look(Instant::now().into_std(), self.mesh.counters()));
                    shown += 1;
                }
                key = keys.recv() => match key.map(|key| screen.react(key.code, key.modifiers)) {
                    Some(Reaction::Redraw) => {}
                    Some(Reaction::Quit) | None => return Ok(()),
                },
            }
            terminal.draw(|frame| screen.draw(frame)).context("cannot draw")?;
        }
        Ok(())
    }

    async fn hear(&mut self, event: &Event) -> anyhow::Result<()> {
        self.picture.hear(Instant::now().into_std(), event);
        match event {
            Event::Join { group, .. } if self.joins_all => Ok(self.mesh.join(group.clone()).await?),
            _ => Ok(()),
        }
    }

    fn is_enough(&self, shown: u64) -> bool {
        self.top.count.is_some_and(|count| shown >= count)
    }
}
