//! `majordomo top`: the broker's services, live in a terminal; as JSON lines for scripts.
//!
//! ```text
//!   mmi.info, mmi.services, mmi.stats ──► Sample ─┐
//!                       the sample before ────────┴─► View (rates) ──► screen, or a JSON line
//!   keys ──► what is shown and in which order
//! ```

mod sample;
mod screen;
pub(super) mod terminal;
pub(super) mod view;

use std::time::Instant;

use anyhow::Context;
use client::Client;

use self::sample::Sample;
use self::screen::Screen;
use self::terminal::{Reaction, beat, keys, needs_terminal};
use self::view::View;
use super::call::find;
use crate::args::Top;
use crate::output;
use crate::security;
use crate::usage::Unsuccessful;

pub(super) async fn run(settings: Top, json: bool) -> Result<(), Unsuccessful> {
    if !json {
        needs_terminal("top")?;
    }
    let found = find(&settings.broker, &settings.discovery, &settings.security, None, &settings.patience).await?;
    let client = Client::builder(found.endpoint.to_string())
        .timeout(settings.patience.timeout)
        .retries(settings.patience.retries)
        .socket_options(found.follow(security::connecting(&settings.security)?))
        .connect()
        .map_err(anyhow::Error::from)?;
    // What cannot be asked at all is told before the screen is taken.
    let first = Sample::take(&client).await?;
    let views = Views { client, settings: &settings, last: first, at: Instant::now() };
    if json { print(views).await } else { show(views).await }
}

/// Looks at the broker again and again.
struct Views<'a> {
    client: Client,
    settings: &'a Top,
    last: Sample,
    at: Instant,
}

impl Views<'_> {
    async fn next(&mut self) -> anyhow::Result<View> {
        let sample = Sample::take(&self.client).await?;
        let now = Instant::now();
        let view = View::between(&self.last, &sample, now - self.at);
        (self.last, self.at) = (sample, now);
        Ok(view)
    }

    fn is_enough(&self, shown: u64) -> bool {
        self.settings.count.is_some_and(|count| shown >= count)
    }
}

async fn print(mut views: Views<'_>) -> Result<(), Unsuccessful> {
    let mut beat = beat(views.settings.interval);
    beat.tick().await;
    let mut shown = 0;
    while !views.is_enough(shown) {
        beat.tick().await;
        let view = views.next().await?;
        output::json(&serde_json::to_value(&view).map_err(anyhow::Error::from)?)?;
        shown += 1;
    }
    Ok(())
}

async fn show(mut views: Views<'_>) -> Result<(), Unsuccessful> {
    let mut terminal = ratatui::try_init().context("cannot use the terminal")?;
    let outcome = show_on(&mut terminal, &mut views).await;
    ratatui::restore();
    Ok(outcome?)
}

async fn show_on(terminal: &mut ratatui::DefaultTerminal, views: &mut Views<'_>) -> anyhow::Result<()> {
    let mut keys = keys();
    let mut beat = beat(views.settings.interval);
    let mut screen = Screen::new(views.settings.broker.to_string());
    let mut shown = 0;
    while !views.is_enough(shown) {
        tokio::select! {
            _ = beat.tick() => {
                // A broker that is away for a while is shown as such: an operator watches a restart with this.
                screen.update(views.next().await);
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
