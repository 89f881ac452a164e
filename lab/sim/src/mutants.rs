//! `sim mutants`: switches each seeded bug on in turn, and runs seeds until an oracle objects.
//!
//! An oracle that never objects proves nothing. A mutant that survives says that the oracles or the workload are too
//! weak; the control, which has no mutant, says that they do not object to what is right.

use std::fmt::Write;
use std::sync::{Mutex, mpsc};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};
use protocol::mutants::{Mutant, switch_on};
use serde_json::json;
use sim::oracle::Violation;
use sim::trace::Trace;
use sim::{workload, world};

/// The command line of `sim mutants`.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Seeds that a mutant must not survive
    #[arg(long, default_value_t = 2000)]
    seeds: u64,
    /// Only this mutant, and the control
    #[arg(long)]
    only: Option<String>,
    /// Threads; as many as there are processors when not given
    #[arg(long)]
    threads: Option<usize>,
    /// One JSON object instead of a table
    #[arg(long)]
    json: bool,
}

/// What became of one mutant.
struct Row {
    /// The bug; `None` is the control.
    mutant: Option<Mutant>,
    /// The seed that showed it, and what was seen.
    found: Option<(u64, Violation)>,
    /// Seeds that were run.
    seeds: u64,
    time: Duration,
}

/// Prints the table; whether all mutants were found and the control is clean.
///
/// # Errors
/// When there is no mutant of the name that was given.
pub(crate) fn run(arguments: &Arguments, threads: usize) -> Result<bool, String> {
    let threads = arguments.threads.unwrap_or(threads).max(1);
    let chosen = choose(arguments.only.as_deref())?;
    let bar = ProgressBar::new(chosen.len() as u64);
    bar.set_style(ProgressStyle::with_template(BAR).map_err(|error| error.to_string())?);
    bar.enable_steady_tick(Duration::from_millis(200));
    let started = Instant::now();
    let rows = check(&chosen, arguments.seeds, threads, |row| {
        bar.inc(1);
        bar.set_message(row.name());
    });
    bar.finish_and_clear();
    let seconds = started.elapsed().as_secs_f64();
    if arguments.json {
        println!("{}", as_json(&rows, seconds));
    } else {
        print!("{}", as_table(&rows, seconds));
    }
    Ok(rows.iter().all(Row::is_good))
}

/// The control first: it takes longest.
fn choose(only: Option<&str>) -> Result<Vec<Option<Mutant>>, String> {
    let is_chosen = |mutant: &&Mutant| only.is_none_or(|only| only == format!("{mutant:?}"));
    let mutants: Vec<_> = Mutant::ALL.iter().filter(is_chosen).copied().map(Some).collect();
    if mutants.is_empty() {
        let all: Vec<_> = Mutant::ALL.iter().map(|mutant| format!("{mutant:?}")).collect();
        return Err(format!("{}: no such mutant; there are {}", only.unwrap_or_default(), all.join(", ")));
    }
    Ok([vec![None], mutants].concat())
}

/// Runs each of `mutants` over the seeds from 0 on, `seeds_max` at most. `progress` hears of each that is done; the
/// rows come back in the order of `mutants`.
fn check(mutants: &[Option<Mutant>], seeds_max: u64, threads: usize, mut progress: impl FnMut(&Row)) -> Vec<Row> {
    let left = Mutex::new(mutants.iter().copied().enumerate());
    let (sender, receiver) = mpsc::channel();
    let mut rows: Vec<(usize, Row)> = Vec::new();
    std::thread::scope(|scope| {
        for _ in 0..threads {
            let (left, sender) = (&left, sender.clone());
            scope.spawn(move || {
                let next = || left.lock().ok()?.next();
                while let Some((place, mutant)) = next() {
                    // Each thread has a switch of its own.
                    switch_on(mutant);
                    if sender.send((place, Row::new(mutant, seeds_max))).is_err() {
                        return;
                    }
                }
            });
        }
        drop(sender);
        for (place, row) in receiver {
            progress(&row);
            rows.push((place, row));
        }
    });
    rows.sort_by_key(|(place, _)| *place);
    rows.into_iter().map(|(_, row)| row).collect()
}

impl Row {
    /// Runs seeds with the mutant that is switched on.
    fn new(mutant: Option<Mutant>, seeds_max: u64) -> Self {
        let started = Instant::now();
        let first = |seed: u64| world::run(&workload::plan(seed), Trace::default()).violations.into_iter().next();
        let found = (0..seeds_max).find_map(|seed| Some((seed, first(seed)?)));
        let seeds = found.as_ref().map_or(seeds_max, |(seed, _)| seed + 1);
        Self { mutant, found, seeds, time: started.elapsed() }
    }

    /// A mutant is found; the control is not.
    fn is_good(&self) -> bool {
        self.found.is_some() == self.mutant.is_some()
    }

    fn name(&self) -> String {
        self.mutant.map_or_else(|| "(control)".to_owned(), |mutant| format!("{mutant:?}"))
    }

    fn breaks(&self) -> &'static str {
        self.mutant.map_or("nothing: the machines as they are", Mutant::breaks)
    }
}

/// A table that can stand in a document as it is.
fn as_table(rows: &[Row], seconds: f64) -> String {
    let mut text = String::from("| mutant | what it breaks | found by | at seed | ms |\n|---|---|---|---:|---:|\n");
    for row in rows {
        let (name, breaks, millis) = (row.name(), row.breaks(), row.time.as_millis());
        let (oracle, seed) = match &row.found {
            Some((seed, violation)) => (format!("`{}`", violation.oracle), seed.to_string()),
            None => ("nobody".to_owned(), format!("none of {}", row.seeds)),
        };
        // Writing to a string cannot fail.
        let _ = writeln!(text, "| {name} | {breaks} | {oracle} | {seed} | {millis} |");
    }
    let mutants = rows.iter().filter(|row| row.mutant.is_some());
    let (all, survived) = (mutants.clone().count(), mutants.filter(|row| !row.is_good()).count());
    let _ = writeln!(text, "\n{all} mutants, {survived} survived, {seconds:.1} s");
    for row in rows.iter().filter(|row| !row.is_good()) {
        let what =
            row.found.as_ref().map_or("survived".to_owned(), |(seed, found)| format!("seed {seed}: {}", found.what));
        let _ = writeln!(text, "{}: {what}", row.name());
    }
    text
}

fn as_json(rows: &[Row], seconds: f64) -> serde_json::Value {
    let rows = rows.iter().map(|row| {
        let found = row.found.as_ref();
        json!({
            "mutant": row.mutant.map(|mutant| format!("{mutant:?}")),
            "breaks": row.breaks(),
            "seeds": row.seeds,
            "seed": found.map(|(seed, _)| seed),
            "oracle": found.map(|(_, violation)| violation.oracle),
            "what": found.map(|(_, violation)| &violation.what),
            "seconds": row.time.as_secs_f64(),
        })
    });
    json!({ "rows": rows.collect::<Vec<_>>(), "seconds": seconds })
}

const BAR: &str = "{bar:40} {pos}/{len} mutants, {elapsed}  {msg}";
