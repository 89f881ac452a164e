//! What is read off the machine: processor time and memory of a process, the machine's name, medians.
//!
//! Everything comes from `/proc` (proc(5)); only Linux is measured.

use std::fs;
use std::time::Duration;

use anyhow::Context;
use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::unistd::Pid;
use serde::Serialize;

/// Reads the processor time of a server, of ourselves, and of the whole machine.
#[derive(Debug, Clone, Copy)]
pub struct Gauge {
    server: u32,
    /// A second process of the same server.
    beside: Option<u32>,
}

/// Processor time so far, user and system, all threads.
#[derive(Debug, Clone, Copy)]
pub struct Reading {
    /// The server's.
    pub server: Duration,
    /// The generator's.
    pub generator: Duration,
    /// That of all processes on all cores, and what a host took away.
    pub machine: Duration,
}

impl Reading {
    /// Processor time spent since `before` by others than the server and the generator.
    pub fn others_since(&self, before: &Self) -> Duration {
        let [mine, theirs] = [self, before].map(|reading| reading.server + reading.generator);
        self.machine.saturating_sub(before.machine).saturating_sub(mine.saturating_sub(theirs))
    }
}

impl Gauge {
    /// Watches the process with this id.
    pub fn new(server: u32) -> Self {
        Self { server, beside: None }
    }

    /// Also watches the process with this id, which belongs to the server.
    #[must_use]
    pub fn beside(self, process: Option<u32>) -> Self {
        Self { beside: process, ..self }
    }

    /// All clocks, now.
    ///
    /// # Errors
    /// The server is gone.
    pub fn read(&self) -> anyhow::Result<Reading> {
        let (mut server, generator) = (processor_time(&self.server.to_string())?, processor_time("self")?);
        if let Some(beside) = self.beside {
            server += processor_time(&beside.to_string())?;
        }
        let total = fs::read_to_string("/proc/stat")?;
        let machine = busy_ticks(&total).context("/proc/stat is not what proc(5) says")?;
        Ok(Reading { server, generator, machine: of_ticks(machine) })
    }
}

/// Resident memory of a process now, bytes.
///
/// # Errors
/// The process is gone.
pub fn resident_bytes(pid: u32) -> anyhow::Result<u64> {
    status_bytes(pid, "VmRSS:")
}

/// Resident memory of a process that stands behind no file, bytes: its heap, without what it has mapped.
///
/// # Errors
/// The process is gone.
pub fn anonymous_bytes(pid: u32) -> anyhow::Result<u64> {
    status_bytes(pid, "RssAnon:")
}

/// The most resident memory that a process ever had, bytes.
///
/// # Errors
/// The process is gone.
pub fn resident_bytes_peak(pid: u32) -> anyhow::Result<u64> {
    status_bytes(pid, "VmHWM:")
}

/// The middle one, or the mean of the two in the middle; NaN of nothing.
pub fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let upper = sorted.len() / 2;
    let lower = sorted.len().saturating_sub(1) / 2;
    match (sorted.get(lower), sorted.get(upper)) {
        (Some(low), Some(high)) => f64::midpoint(*low, *high),
        _ => f64::NAN,
    }
}

/// The smallest value that at least this part of all values does not pass; NaN of nothing.
pub fn quantile(values: &[f64], part: f64) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let passed = |place: &usize| (place + 1) as f64 >= part * sorted.len() as f64;
    let place = (0..sorted.len()).find(passed);
    place.and_then(|place| sorted.get(place)).copied().unwrap_or(f64::NAN)
}

/// How far apart the values are: highest less lowest, over the median.
pub fn spread(values: &[f64]) -> f64 {
    let highest = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let lowest = values.iter().copied().fold(f64::INFINITY, f64::min);
    (highest - lowest) / median(values)
}

/// The machine and the time, for the head of a report.
#[derive(Debug, Clone, Serialize)]
pub struct Machine {
    /// Model name of the processor.
    pub processor: String,
    /// Cores that are online.
    pub cores: usize,
    /// Memory in all, bytes.
    pub memory_bytes: u64,
    /// Kernel release.
    pub kernel: String,
    /// When it was measured, UTC, to the second.
    pub date: String,
}

impl Machine {
    /// This machine, now.
    ///
    /// # Errors
    /// `/proc` does not answer.
    pub fn read() -> anyhow::Result<Self> {
        let processors = fs::read_to_string("/proc/cpuinfo")?;
        let field = |name| processors.lines().filter_map(move |line| field_of(line, name));
        let memory = fs::read_to_string("/proc/meminfo")?;
        Ok(Self {
            processor: field("model name").next().unwrap_or("unknown").to_owned(),
            cores: field("processor").count(),
            memory_bytes: memory.lines().find_map(|line| kilobytes(line, "MemTotal:")).unwrap_or(0),
            kernel: fs::read_to_string("/proc/sys/kernel/osrelease")?.trim().to_owned(),
            date: humantime::format_rfc3339_seconds(std::time::SystemTime::now()).to_string(),
        })
    }
}

/// Raises the number of files that we, and processes started from now on, may have open.
///
/// # Errors
/// The hard limit is lower and we may not raise it.
pub fn raise_open_files(wanted: u64) -> anyhow::Result<()> {
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE)?;
    if soft >= wanted {
        return Ok(());
    }
    setrlimit(Resource::RLIMIT_NOFILE, wanted, hard.max(wanted))
        .with_context(|| format!("{wanted} open files are needed; the limit is {hard} (`ulimit -Hn`)"))
}

/// Which core runs what.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Placement {
    /// The generator stays on core 1; servers may use every core
    Generator,
    /// The generator stays on core 1, servers on core 0
    Split,
    /// The kernel decides; two busy threads then often share one core
    Free,
}

impl Placement {
    /// Starts a server by `start`; a child inherits the core that we are on while it starts.
    ///
    /// # Errors
    /// That of `start`, or the machine has no second core.
    pub fn start_server<T>(self, start: impl FnOnce() -> anyhow::Result<T>) -> anyhow::Result<T> {
        let before = sched_getaffinity(Pid::from_raw(0))?;
        match self {
            Self::Free => return start(),
            Self::Split => move_to_core(0)?,
            Self::Generator => move_to_every_core()?,
        }
        let started = start();
        sched_setaffinity(Pid::from_raw(0), &before)?;
        started
    }

    /// Puts the calling thread on the generator's core; threads and processes started later follow it.
    ///
    /// # Errors
    /// The machine has no second core.
    pub fn settle_generator(self) -> anyhow::Result<()> {
        if self == Self::Free { Ok(()) } else { move_to_core(1) }
    }

    /// What a report says of it.
    pub fn description(self) -> &'static str {
        match self {
            Self::Generator => "the generator on core 1, servers on every core",
            Self::Split => "the generator on core 1, every server on core 0",
            Self::Free => "not pinned: the kernel places servers and generator",
        }
    }
}

fn move_to_every_core() -> anyhow::Result<()> {
    let mut cores = CpuSet::new();
    // The kernel leaves out those that do not exist.
    for core in 0..CpuSet::count() {
        cores.set(core)?;
    }
    sched_setaffinity(Pid::from_raw(0), &cores).context("cannot run on every core")
}

fn move_to_core(core: usize) -> anyhow::Result<()> {
    let mut cores = CpuSet::new();
    cores.set(core)?;
    sched_setaffinity(Pid::from_raw(0), &cores)
        .with_context(|| format!("cannot run on core {core}; `--placement free` pins nothing"))
}

/// User and system time of all threads of `/proc/<process>`.
pub(crate) fn processor_time(process: &str) -> anyhow::Result<Duration> {
    let path = format!("/proc/{process}/stat");
    let stat = fs::read_to_string(&path).with_context(|| format!("the server is gone: {path}"))?;
    let ticks = stat_ticks(&stat).with_context(|| format!("{path} is not what proc(5) says"))?;
    Ok(of_ticks(ticks))
}

fn of_ticks(ticks: u64) -> Duration {
    Duration::from_millis(ticks * 1000 / TICKS_PER_SECOND)
}

/// All but the idle columns of the first line: user nice system (idle iowait) irq softirq steal.
fn busy_ticks(stat: &str) -> Option<u64> {
    let fields = stat.lines().next()?.strip_prefix("cpu ")?.split_ascii_whitespace();
    let busy = fields.take(8).enumerate().filter(|(column, _)| !(3..=4).contains(column));
    busy.map(|(_, ticks)| ticks.parse::<u64>().ok()).sum()
}

/// Fields 14 and 15, counted after the name in parentheses, which may hold spaces.
fn stat_ticks(stat: &str) -> Option<u64> {
    let (_, after_name) = stat.rsplit_once(')')?;
    let mut fields = after_name.split_ascii_whitespace().skip(11);
    let (user, system): (u64, u64) = (fields.next()?.parse().ok()?, fields.next()?.parse().ok()?);
    Some(user + system)
}

fn status_bytes(pid: u32, field: &str) -> anyhow::Result<u64> {
    let path = format!("/proc/{pid}/status");
    let status = fs::read_to_string(&path).with_context(|| format!("the server is gone: {path}"))?;
    status.lines().find_map(|line| kilobytes(line, field)).with_context(|| format!("{path} has no {field}"))
}

fn kilobytes(line: &str, field: &str) -> Option<u64> {
    let value = line.strip_prefix(field)?.trim().strip_suffix(" kB")?;
    Some(value.parse::<u64>().ok()? * 1024)
}

fn field_of<'a>(line: &'a str, name: &str) -> Option<&'a str> {
    let (key, value) = line.split_once(':')?;
    (key.trim_end() == name).then_some(value.trim())
}

/// USER_HZ: 100 on every Linux of x86 and ARM, whatever the kernel's own tick is.
const TICKS_PER_SECOND: u64 = 100;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn processor_time_is_read_behind_a_name_with_parentheses_and_spaces() {
        let stat = "42 (a) b (c) S 1 42 42 0 -1 4194560 1 2 3 4 150 25 9 9 20 0 7 0 100 1000 10";
        assert_eq!(stat_ticks(stat), Some(175));
        assert_eq!(stat_ticks("42 broken"), None);
    }

    #[test]
    fn machine_time_leaves_out_what_was_idle_and_counts_no_guest_twice() {
        let stat = "cpu  1 20 300 4000 50000 600000 7000000 80000000 900000000 9000000000\ncpu0 9 9 9 9 9 9 9 9 9 9\n";
        assert_eq!(busy_ticks(stat), Some(87_600_321));
        assert_eq!(busy_ticks("intr 1 2 3"), None);
    }

    #[test]
    fn others_are_what_neither_server_nor_generator_used() {
        let reading = |server, generator, machine| {
            let [server, generator, machine] = [server, generator, machine].map(Duration::from_millis);
            Reading { server, generator, machine }
        };
        let (before, after) = (reading(10, 20, 1000), reading(510, 320, 2000));
        assert_eq!(after.others_since(&before), Duration::from_millis(200));
        // Ticks are coarse: the parts may add up to more than the whole.
        assert_eq!(reading(900, 900, 2000).others_since(&before), Duration::ZERO);
    }

    #[test]
    fn our_own_processor_time_grows_while_we_compute() {
        let before = processor_time("self").unwrap();
        let mut sum = 0u64;
        while processor_time("self").unwrap() < before + Duration::from_millis(30) {
            sum = (0..1_000_000).fold(sum, |sum, value| std::hint::black_box(sum ^ value));
        }
        assert!(processor_time("self").unwrap() > before);
    }

    #[test]
    fn resident_memory_is_below_its_peak() {
        let pid = std::process::id();
        assert!(resident_bytes(pid).unwrap() > 0);
        assert!(resident_bytes(pid).unwrap() <= resident_bytes_peak(pid).unwrap());
    }

    #[test]
    fn a_process_that_is_gone_is_an_error() {
        assert!(Gauge::new(u32::MAX).read().is_err());
        assert!(resident_bytes(u32::MAX).is_err());
    }

    #[test]
    fn median_takes_the_middle() {
        assert!((median(&[3.0, 1.0, 2.0]) - 2.0).abs() < 1e-9);
        assert!((median(&[4.0, 1.0, 2.0, 3.0]) - 2.5).abs() < 1e-9);
        assert!(median(&[]).is_nan());
        assert!((spread(&[90.0, 100.0, 120.0]) - 0.3).abs() < 1e-9);
    }

    #[test]
    fn quantile_is_the_nearest_rank() {
        let hundred: Vec<f64> = (1..=100).rev().map(f64::from).collect();
        let found = [0.0, 0.5, 0.99, 1.0].map(|part| quantile(&hundred, part));
        assert!(found.iter().zip([1.0, 50.0, 99.0, 100.0]).all(|(found, rank)| (found - rank).abs() < 1e-9));
        assert!(quantile(&[], 0.5).is_nan());
    }

    #[test]
    fn machine_names_its_processor_and_kernel() {
        let machine = Machine::read().unwrap();
        assert!(machine.cores >= 1 && machine.memory_bytes > 0);
        assert!(!machine.kernel.is_empty() && machine.date.ends_with('Z'));
    }
}
