//! Problems in one line: what was wrong, where, and what is allowed; and the exit status that goes with each.

use std::fmt;
use std::process::ExitCode;

/// Why the command line or the configuration cannot be used.
#[derive(Debug)]
pub(crate) struct Problem {
    text: String,
    /// Help and version are "errors" to the parser; they are printed as they are and end well.
    display: Option<clap::Error>,
}

/// Why a command did not succeed.
#[derive(Debug)]
pub(crate) enum Unsuccessful {
    /// Its settings cannot be used together or refer to nothing: exit status 2.
    Usage(Problem),
    /// It tried and failed: exit status 1.
    Failed(anyhow::Error),
    /// What it asked for does not exist: exit status 3.
    Unknown(String),
}

impl Problem {
    pub(crate) fn new(text: String) -> Self {
        Self { text, display: None }
    }

    /// The same problem, with the place where it is.
    pub(crate) fn within(mut self, place: &str) -> Self {
        self.text = format!("{place}: {}", self.text);
        self
    }
}

impl From<clap::Error> for Problem {
    fn from(error: clap::Error) -> Self {
        if !error.use_stderr() || error.kind() == clap::error::ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand {
            return Self { text: String::new(), display: Some(error) };
        }
        Self::new(one_line(&error.to_string()))
    }
}

impl From<Problem> for Unsuccessful {
    fn from(problem: Problem) -> Self {
        Self::Usage(problem)
    }
}

impl From<anyhow::Error> for Unsuccessful {
    fn from(error: anyhow::Error) -> Self {
        Self::Failed(error)
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.text)
    }
}

/// The reason alone.
impl fmt::Display for Unsuccessful {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Usage(problem) => problem.fmt(formatter),
            Self::Failed(error) => write!(formatter, "{error:#}"),
            Self::Unknown(what) => formatter.write_str(what),
        }
    }
}

/// The parser explains over several lines; scripts and logs want one. Usage and pointers to the help are left out.
fn one_line(text: &str) -> String {
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    let kept = lines.take_while(|line| !line.starts_with("Usage:") && !line.starts_with("For more information"));
    kept.collect::<Vec<_>>().join(" ").trim_start_matches("error: ").to_owned()
}

/// Prints why the settings cannot be used.
pub(crate) fn report(problem: &Problem) -> ExitCode {
    match &problem.display {
        Some(display) => {
            // Nothing is left to be done when the terminal is gone.
            let _ = display.print();
            if display.use_stderr() { ExitCode::from(USAGE) } else { ExitCode::SUCCESS }
        }
        None => {
            eprintln!("majordomo: {problem}");
            ExitCode::from(USAGE)
        }
    }
}

/// Prints why a command did not succeed, and gives the exit status.
pub(crate) fn report_failure(failure: &Unsuccessful) -> ExitCode {
    match failure {
        Unsuccessful::Usage(problem) => report(problem),
        Unsuccessful::Failed(error) => {
            eprintln!("majordomo: {error:#}");
            ExitCode::FAILURE
        }
        Unsuccessful::Unknown(text) => {
            eprintln!("majordomo: {text}");
            ExitCode::from(UNKNOWN)
        }
    }
}

const USAGE: u8 = 2;
const UNKNOWN: u8 = 3;
