//! `sim crash` and `sim damage`: Titanic's log through many crashes and many damages, with a progress bar.

use indicatif::{ProgressBar, ProgressStyle};
use sim::{crash, damage};

/// The command line of `sim crash`.
#[derive(Debug, clap::Args)]
pub(crate) struct Crash {
    /// How many images of crashed disks, at least
    #[arg(long, default_value_t = 10_000)]
    images: u64,
    /// The first seed
    #[arg(long, default_value_t = 0)]
    from: u64,
    /// Make one image again, as a failure names it: SEED:POINT:IMAGE
    #[arg(long)]
    replay: Option<crash::Image>,
}

/// The command line of `sim damage`.
#[derive(Debug, clap::Args)]
pub(crate) struct Damage {
    /// How many damages
    #[arg(long, default_value_t = 100_000)]
    count: u64,
    /// The first one
    #[arg(long, default_value_t = 0)]
    from: u64,
}

/// Whether no oracle objected.
pub(crate) fn run_crash(arguments: &Crash) -> Result<bool, String> {
    if let Some(image) = arguments.replay {
        let (violation, story) = crash::replay(image);
        println!("{}", story.join("\n"));
        let what = violation.as_ref().map_or("nothing is wrong", |violation| violation.what.as_str());
        println!("{image}: {what}");
        return Ok(violation.is_none());
    }
    let bar = bar(arguments.images, "images")?;
    let report = crash::run(arguments.from, arguments.images, |so_far| bar.set_position(so_far.images));
    bar.finish_and_clear();
    println!(
        "{} images at {} points of {} runs: {} promises kept, {} images with torn records",
        report.images, report.points, report.seeds, report.promises, report.torn
    );
    report.faults.iter().for_each(|(kind, count)| println!("  {kind:?}: {count}"));
    for violation in &report.violations {
        println!("{}: cargo xtask crash --replay {}", violation.what, violation.image);
    }
    Ok(report.violations.is_empty())
}

/// Whether every damage was found, and nothing else was lost.
pub(crate) fn run_damage(arguments: &Damage) -> Result<bool, String> {
    let bar = bar(arguments.count, "damages")?;
    let report = damage::run(arguments.from, arguments.count, |done| bar.set_position(done));
    bar.finish_and_clear();
    println!("{} damages: {} hit what counts, and were found; {} records lost", report.made, report.hits, report.lost);
    for (number, what) in &report.objections {
        println!("{what}: cargo xtask crash --damages 1 --from {number}");
    }
    Ok(report.objections.is_empty())
}

fn bar(length: u64, of: &str) -> Result<ProgressBar, String> {
    let bar = ProgressBar::new(length);
    let template = format!("{{bar:40}} {{pos}}/{{len}} {of}, {{per_sec}}, {{eta}} left");
    bar.set_style(ProgressStyle::with_template(&template).map_err(|error| error.to_string())?);
    Ok(bar)
}
