//! Configuration file, then environment, then flags: the last one wins, and all three are the same definitions.
//!
//! A file's values become the defaults of the flags of the same name, so that what is allowed is said once. The table
//! `[broker]` sets the flags of `majordomo broker`, `[worker.db]` those of `majordomo worker db`; keys before the first
//! table are flags of every command. `[broker.service.NAME]` sets the policy of one service.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use clap::builder::Resettable;
use clap::parser::ValueSource;
use clap::{ArgMatches, Args, CommandFactory, FromArgMatches};

use crate::args::{Cli, Command, Policy};
use crate::usage::Problem;

/// Reads the whole command line of the process.
pub(crate) fn read(arguments: impl IntoIterator<Item = OsString>) -> Result<Cli, Problem> {
    let arguments: Vec<OsString> = arguments.into_iter().collect();
    let file = match config_path(&arguments) {
        Some(path) => Some(File::read(path)?),
        None => None,
    };
    let mut command = with_environment(Cli::command());
    if let Some(file) = &file {
        command = file.apply(command, &file.table, "")?;
    }
    let matches = command.try_get_matches_from(&arguments)?;
    needs_titanic(&matches)?;
    let mut cli = Cli::from_arg_matches(&matches)?;
    if let (Some(file), Command::Broker(broker)) = (&file, &mut cli.command) {
        broker.services = file.services(&broker.policy)?;
    }
    Ok(cli)
}

/// A broker that is told how to keep requests, and not to keep any, is not what its operator meant.
fn needs_titanic(matches: &ArgMatches) -> Result<(), Problem> {
    let Some(("broker", broker)) = matches.subcommand() else { return Ok(()) };
    let given = |name: &&str| broker.value_source(name) == Some(ValueSource::CommandLine);
    let keeps = broker.value_source("titanic").is_some() || broker.get_flag("memory");
    match KEEPING.iter().find(|name| given(name)).filter(|_| !keeps) {
        None => Ok(()),
        Some(name) => {
            let flag = name.replace('_', "-");
            Err(Problem::new(format!("--{flag} says how requests are kept: give --titanic FILE or --memory too")))
        }
    }
}

/// The flags of a broker that mean nothing without a Titanic in its process.
const KEEPING: [&str; 8] = [
    "capacity",
    "preallocate",
    "sync",
    "call_timeout",
    "calls_per_service",
    "request_ttl",
    "answer_ttl",
    "titanic_attempts",
];

/// The configuration file has to be known before the flags are read.
fn config_path(arguments: &[OsString]) -> Option<PathBuf> {
    let mut rest = arguments.iter().take_while(|argument| *argument != "--");
    while let Some(argument) = rest.next() {
        if argument == "--config" {
            return rest.next().map(PathBuf::from);
        }
        if let Some(path) = argument.to_str().and_then(|text| text.strip_prefix("--config=")) {
            return Some(PathBuf::from(path));
        }
    }
    std::env::var_os("MAJORDOMO_CONFIG").map(PathBuf::from)
}

/// Gives every flag of every command its environment variable: `--db-broker` is `MAJORDOMO_DB_BROKER`.
fn with_environment(command: clap::Command) -> clap::Command {
    let command = command.mut_args(|argument| match argument.get_long() {
        // MAJORDOMO_LOG says how much is written to standard error, and no file.
        Some("help" | "version" | "log") | None => argument,
        Some(long) => {
            let variable = format!("MAJORDOMO_{}", long.to_uppercase().replace('-', "_"));
            argument.env(variable).hide_env(true)
        }
    });
    command.mut_subcommands(with_environment)
}

struct File {
    path: PathBuf,
    table: toml::Table,
}

impl File {
    fn read(path: PathBuf) -> Result<Self, Problem> {
        let text = std::fs::read_to_string(&path)
            .map_err(|error| Problem::new(format!("--config {}: {error}", path.display())))?;
        let table = text.parse::<toml::Table>().map_err(|error| toml_problem(&path, &text, &error))?;
        Ok(Self { path, table })
    }

    /// Makes the values of a table the defaults of a command's flags, and of its subcommands'.
    fn apply(&self, command: clap::Command, table: &toml::Table, prefix: &str) -> Result<clap::Command, Problem> {
        table.iter().try_fold(command, |command, (key, value)| {
            let name = format!("{prefix}{key}");
            match value {
                toml::Value::Table(_) if name == "broker.service" => Ok(command),
                toml::Value::Table(inner) => self.apply_table(command, key, inner, &name),
                _ => self.apply_value(command, key, value, &name),
            }
        })
    }

    fn apply_table(
        &self,
        command: clap::Command,
        key: &str,
        table: &toml::Table,
        name: &str,
    ) -> Result<clap::Command, Problem> {
        let Some(inner) = command.find_subcommand(key).cloned() else {
            let allowed = command.get_subcommands().map(clap::Command::get_name).collect::<Vec<_>>();
            return Err(self.problem(name, "no such table", &allowed));
        };
        let inner = self.apply(inner, table, &format!("{name}."))?;
        Ok(command.mut_subcommand(key, |_| inner))
    }

    fn apply_value(
        &self,
        command: clap::Command,
        key: &str,
        value: &toml::Value,
        name: &str,
    ) -> Result<clap::Command, Problem> {
        let argument = command.get_arguments().find(|argument| argument.get_long() == Some(key) && key != "config");
        let Some(id) = argument.map(|argument| argument.get_id().clone()) else {
            return Err(self.problem(name, "no such key", &allowed_keys(&command)));
        };
        let values = texts(value).ok_or_else(|| self.problem(name, "not a value", &["text, number, true, a list"]))?;
        let given = |argument: clap::Arg| argument.required(false).required_unless_present(Resettable::Reset);
        Ok(command.mut_arg(id, |argument| given(argument).default_values(values)))
    }

    /// The policies under `[broker.service.NAME]`; what a table does not say is as for all services.
    fn services(&self, general: &Policy) -> Result<std::collections::BTreeMap<broker::ServiceName, Policy>, Problem> {
        let tables = self.table.get("broker").and_then(|broker| broker.get("service")).and_then(toml::Value::as_table);
        tables.into_iter().flatten().map(|(name, value)| self.service(general, name, value)).collect()
    }

    fn service(
        &self,
        general: &Policy,
        name: &str,
        value: &toml::Value,
    ) -> Result<(broker::ServiceName, Policy), Problem> {
        let path = format!("broker.service.{name}");
        let service = name.parse().map_err(|error| self.problem(&path, &format!("{error}"), &[]))?;
        let table = value.as_table().ok_or_else(|| self.problem(&path, "not a table", &["[broker.service.NAME]"]))?;
        // The flags without their defaults: only what the table says is changed.
        let command = Policy::augment_args(clap::Command::new("service").no_binary_name(true))
            .mut_args(|argument| argument.default_values(Vec::<String>::new()));
        let mut flags = Vec::new();
        for (key, value) in table {
            if !command.get_arguments().any(|argument| argument.get_long() == Some(key)) {
                return Err(self.problem(&format!("{path}.{key}"), "no such key", &allowed_keys(&command)));
            }
            let values = texts(value).unwrap_or_default();
            flags.extend(values.into_iter().map(|value| format!("--{key}={value}")));
        }
        let matches = command
            .try_get_matches_from(flags)
            .map_err(|error| Problem::from(error).within(&format!("{}: {path}", self.path.display())))?;
        let mut policy = general.clone();
        policy.update_from_arg_matches(&matches)?;
        Ok((service, policy))
    }

    fn problem(&self, key: &str, what: &str, allowed: &[&str]) -> Problem {
        let allowed = if allowed.is_empty() { String::new() } else { format!(" (allowed: {})", allowed.join(", ")) };
        Problem::new(format!("{}: {key}: {what}{allowed}", self.path.display()))
    }
}

fn toml_problem(path: &Path, text: &str, error: &toml::de::Error) -> Problem {
    let line = error.span().map_or(1, |span| text.bytes().take(span.start).filter(|byte| *byte == b'\n').count() + 1);
    Problem::new(format!("{}: line {line}: {}", path.display(), error.message()))
}

fn allowed_keys(command: &clap::Command) -> Vec<&str> {
    let keys = command.get_arguments().filter_map(clap::Arg::get_long);
    keys.filter(|key| !["help", "version", "config"].contains(key)).collect()
}

/// A value as it would stand on the command line; several for a list; `None` for what cannot stand there.
fn texts(value: &toml::Value) -> Option<Vec<String>> {
    match value {
        toml::Value::String(text) => Some(vec![text.clone()]),
        toml::Value::Integer(number) => Some(vec![number.to_string()]),
        toml::Value::Float(number) => Some(vec![number.to_string()]),
        toml::Value::Boolean(truth) => Some(vec![truth.to_string()]),
        toml::Value::Array(values) => values.iter().map(texts).collect::<Option<Vec<_>>>().map(|lists| lists.concat()),
        toml::Value::Datetime(_) | toml::Value::Table(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::time::Duration;

    use super::*;

    fn read_with(config: &str, arguments: &[&str]) -> Result<Cli, Problem> {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(config.as_bytes()).unwrap();
        let path = file.path().to_str().unwrap().to_owned();
        let line = [&["majordomo", "--config", &path], arguments].concat();
        read(line.into_iter().map(OsString::from))
    }

    fn broker(cli: Cli) -> Box<crate::args::Broker> {
        match cli.command {
            Command::Broker(broker) => broker,
            other => panic!("not a broker: {other:?}"),
        }
    }

    #[test]
    fn a_file_sets_what_no_flag_says_and_a_flag_wins_over_it() {
        let config =
            "[broker]\nqueue-max = 7\nbusy-timeout = \"2s\"\nbind = [\"tcp://127.0.0.1:1\", \"tcp://127.0.0.1:2\"]";
        let broker = broker(read_with(config, &["broker", "--queue-max", "8"]).unwrap());
        assert_eq!(broker.policy.queue_max, 8);
        assert_eq!(broker.policy.busy_timeout, Duration::from_secs(2));
        assert_eq!(broker.bind.len(), 2);
    }

    #[test]
    fn a_file_may_give_what_the_command_requires() {
        let cli = read_with("[worker.echo]\nbroker = \"tcp://127.0.0.1:1\"", &["worker", "echo"]).unwrap();
        assert!(matches!(cli.command, Command::Worker(crate::args::Worker::Echo(_))));
    }

    #[test]
    fn a_service_inherits_the_general_policy_and_changes_what_it_says() {
        let config = "[broker]\nqueue-max = 7\n[broker.service.batch]\nbusy-timeout = \"10m\"\nno-worker = \"refuse\"";
        let broker = broker(read_with(config, &["broker"]).unwrap());
        let policy = &broker.services[&b"batch"[..]];
        assert_eq!(policy.queue_max, 7);
        assert_eq!(policy.busy_timeout, Duration::from_secs(600));
        assert!(matches!(policy.no_worker, crate::args::NoWorker::Refuse));
    }

    #[test]
    fn each_bad_key_is_one_line_that_names_it_and_what_is_allowed() {
        for (config, parts) in [
            ("[broker]\nqueue-maximum = 7", ["broker.queue-maximum: no such key", "queue-max"]),
            ("[brokers]\nx = 1", ["brokers: no such table", "broker"]),
            ("[broker.service.a]\nwait = 1", ["broker.service.a.wait: no such key", "queue-wait"]),
            ("[broker.service.a]\nattempts = 0", ["broker.service.a", "0 is not in 1..=1000"]),
            ("[broker]\nno-worker = \"maybe\"", ["maybe", "queue, refuse"]),
            ("[broker]\nx = ", ["line 2", ""]),
        ] {
            let text = read_with(config, &["broker"]).unwrap_err().to_string();
            assert!(parts.iter().all(|part| text.contains(part)), "{config}: {text}");
            assert_eq!(text.lines().count(), 1, "{text}");
        }
    }

    #[test]
    fn a_missing_file_is_named() {
        let line = ["majordomo", "--config", "/nonexistent/x.toml", "man"].map(OsString::from);
        assert!(read(line).unwrap_err().to_string().contains("/nonexistent/x.toml"));
    }
}
