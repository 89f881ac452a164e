//! `sim scale`: runs the worlds of [`sim::scale`], each in a process of its own so that its memory can be told, and
//! shows what grew how.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use indicatif::ProgressBar;
use sim::scale::meter::Instruments;
use sim::scale::metric::{CROWD, METRICS};
use sim::scale::plot::{Line, Plot};
use sim::scale::report::Report;
use sim::scale::{Axis, BASE, CROWDED, LARGEST, Size, crowd, scenario};

/// The command line of `sim scale`.
#[derive(Debug, clap::Args)]
pub(crate) struct Scale {
    /// One JSON object instead of tables
    #[arg(long)]
    json: bool,
    /// Write the curves there, as SVG
    #[arg(long)]
    plots: Option<PathBuf>,
    /// One world only, as CLIENTSxSERVICESxBROKERS; prints what was measured as JSON
    #[arg(long)]
    world: Option<Size>,
}

/// The process's clock and memory.
#[derive(Debug)]
struct Readings {
    started: Instant,
}

impl Instruments for Readings {
    fn nanoseconds(&mut self) -> u64 {
        u64::try_from(self.started.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }

    /// Where the system does not tell, 0.
    fn resident_bytes(&mut self) -> u64 {
        let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kib = line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<u64>().ok());
        kib.unwrap_or(0) * 1024
    }
}

/// Whether every figure kept within its bounds.
///
/// # Errors
/// When a world cannot be run or a plot cannot be written.
pub(crate) fn run(arguments: &Scale) -> Result<bool, String> {
    let mut readings = Readings { started: Instant::now() };
    if let Some(size) = arguments.world {
        let measured = scenario::measure(size, &mut readings);
        println!("{}", serde_json::to_string(&measured).map_err(|error| error.to_string())?);
        return Ok(true);
    }
    let mut sizes: Vec<Size> = Axis::ALL.into_iter().flat_map(Axis::steps).filter(|size| *size != BASE).collect();
    sizes.extend([BASE, LARGEST, CROWDED]);
    let bar = ProgressBar::new((sizes.len() + crowd::STEPS.len()) as u64);
    let mut report = Report::default();
    for size in sizes {
        bar.set_message(size.to_string());
        report.worlds.push(measure_apart(size)?);
        bar.inc(1);
    }
    for waiting in crowd::STEPS {
        report.crowds.push(crowd::measure(waiting, &mut readings));
        bar.inc(1);
    }
    bar.finish_and_clear();
    if arguments.json {
        println!("{}", report.json());
    } else {
        print!("{}", report.table());
    }
    if let Some(folder) = &arguments.plots {
        write_plots(folder, &report)?;
    }
    Ok(report.growths().iter().all(sim::scale::report::Growth::is_within))
}

fn measure_apart(size: Size) -> Result<scenario::Measured, String> {
    let failed = |error: &dyn std::fmt::Display| format!("world {size}: {error}");
    let program = std::env::current_exe().map_err(|error| failed(&error))?;
    let mut command = Command::new(program);
    let output = command.args(["scale", "--world", &size.to_string()]).output().map_err(|error| failed(&error))?;
    if !output.status.success() {
        return Err(failed(&String::from_utf8_lossy(&output.stderr)));
    }
    serde_json::from_slice(&output.stdout).map_err(|error| failed(&error))
}

/// A file for each group of figures that share an axis and a unit.
fn write_plots(folder: &Path, report: &Report) -> Result<(), String> {
    let write = |name: String, plot: &Plot<'_>| {
        let path = folder.join(name);
        fs::write(&path, plot.svg()).map_err(|error| format!("{}: {error}", path.display()))
    };
    fs::create_dir_all(folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    for axis in Axis::ALL {
        let points = report.along(axis);
        for (unit, y, what) in GROUPS {
            let lines = METRICS.iter().filter(|metric| metric.unit == *unit).map(|metric| Line {
                name: metric.name,
                points: points.iter().map(|(x, world)| (*x, (metric.value)(world))).collect(),
            });
            let title = format!("{what}, by {}", axis.name());
            let x = format!("{} (others: {BASE})", axis.name());
            let plot = Plot { title: &title, x: &x, y, lines: lines.collect() };
            let file = what.split(' ').next().unwrap_or_default().to_lowercase();
            write(format!("{file}-by-{}.svg", axis.name()), &plot)?;
        }
    }
    let lines = CROWD.iter().map(|metric| Line {
        name: metric.name,
        points: report.crowds.iter().map(|crowd| (crowd.waiting as f64, (metric.value)(crowd))).collect(),
    });
    let plot = Plot {
        title: "Work of a broker for a request that meets full queues",
        x: "requests that wait",
        y: "ns a request",
        lines: lines.collect(),
    };
    write("crowd.svg".to_owned(), &plot)
}

/// Units that share a plot, how they are called on its axis, and what the plot shows.
const GROUPS: &[(&str, &str, &str)] =
    &[("1/s", "a second of virtual time", "Rates"), ("ns", "ns", "Work in the machines"), ("ms", "ms", "Convergence")];
