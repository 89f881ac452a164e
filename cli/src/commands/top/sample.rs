//! What a broker told at one moment, as `protocol::mmi` documents it.

use std::collections::BTreeMap;

use anyhow::{Context, anyhow, bail};
use client::{Client, Frames};
use serde::Deserialize;
use serde::de::DeserializeOwned;

/// Answers to `mmi.info`, `mmi.services` and `mmi.stats`, asked at once.
#[derive(Debug)]
pub(super) struct Sample {
    pub(super) info: Info,
    pub(super) services: BTreeMap<String, Service>,
    pub(super) stats: BTreeMap<String, Stats>,
    /// Services that did not fit into the answers.
    pub(super) more: u64,
}

/// The broker itself.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Info {
    pub(super) name: Option<String>,
    pub(super) version: String,
    pub(super) uptime_ms: u64,
    pub(super) connections: u64,
    pub(super) workers: u64,
    pub(super) services: u64,
    pub(super) queued: u64,
    pub(super) in_flight: u64,
    pub(super) requests: u64,
    pub(super) draining: bool,
}

/// Who serves a service.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Service {
    pub(super) service: String,
    pub(super) workers: u64,
    pub(super) waiting: u64,
    pub(super) draining: bool,
}

/// How that goes.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Stats {
    pub(super) service: String,
    pub(super) requests: u64,
    pub(super) replies: u64,
    pub(super) errors: u64,
    pub(super) last_error: Option<LastError>,
    pub(super) in_flight: u64,
    pub(super) queued: u64,
    pub(super) oldest_ms: Option<u64>,
    pub(super) p50_us: Option<u64>,
    pub(super) p99_us: Option<u64>,
    pub(super) p999_us: Option<u64>,
}

/// The last request that ended otherwise than with a result.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct LastError {
    pub(super) status: u16,
    pub(super) reason: String,
    pub(super) age_ms: u64,
}

impl Sample {
    pub(super) async fn take(client: &Client) -> anyhow::Result<Self> {
        let (info, services, stats) =
            tokio::try_join!(ask(client, "mmi.info"), ask(client, "mmi.services"), ask(client, "mmi.stats"))?;
        Self::read(&info, &services, &stats)
    }

    fn read(info: &str, services: &str, stats: &str) -> anyhow::Result<Self> {
        let (info, _) = lines::<Info>(info)?;
        let info = info.into_iter().next().context("mmi.info: no line")?;
        let (services, services_more) = lines::<Service>(services)?;
        let (stats, stats_more) = lines::<Stats>(stats)?;
        Ok(Self {
            info,
            services: services.into_iter().map(|service| (service.service.clone(), service)).collect(),
            stats: stats.into_iter().map(|stats| (stats.service.clone(), stats)).collect(),
            more: services_more.max(stats_more),
        })
    }
}

/// The lines of an answer.
async fn ask(client: &Client, question: &'static str) -> anyhow::Result<String> {
    let reply = client.request(question, Frames::new()).await?;
    match &*reply.body {
        [code, lines] if **code == *b"200" => Ok(String::from_utf8_lossy(lines).into_owned()),
        [code, ..] if **code == *b"501" => bail!("{question}: this broker does not know the question"),
        [code, ..] => Err(anyhow!("{question}: {}", String::from_utf8_lossy(code).escape_debug())),
        [] => Err(anyhow!("{question}: an empty answer")),
    }
}

/// Lines as values; and how many the broker has left off.
fn lines<T: DeserializeOwned>(text: &str) -> anyhow::Result<(Vec<T>, u64)> {
    let mut values = Vec::new();
    for line in text.lines() {
        let value: serde_json::Value = serde_json::from_str(line).context("a line of the broker is no JSON")?;
        if let Some(more) = value.get("more").and_then(serde_json::Value::as_u64) {
            return Ok((values, more));
        }
        values.push(serde_json::from_value(value).context("a line of the broker has fields of another kind")?);
    }
    Ok((values, 0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_read_and_unknown_fields_do_no_harm() {
        let info = r#"{"name": "app", "version": "0.1.0", "uptime_ms": 5000, "requests": 7, "later": [1]}"#;
        let services = "{\"service\": \"echo\", \"workers\": 2, \"waiting\": 1}\n";
        let stats = "{\"service\": \"echo\", \"requests\": 7, \"last_error\": null, \"p50_us\": 12}\n";
        let sample = Sample::read(info, services, stats).unwrap();
        assert_eq!((sample.info.uptime_ms, sample.info.requests, sample.more), (5000, 7, 0));
        assert_eq!(sample.services["echo"].workers, 2);
        assert_eq!((sample.stats["echo"].p50_us, sample.stats["echo"].p99_us), (Some(12), None));
    }

    #[test]
    fn what_the_broker_left_off_is_counted() {
        let stats = "{\"service\": \"a\"}\n{\"more\": 19999}\n";
        let sample = Sample::read("{}", "", stats).unwrap();
        assert_eq!((sample.stats.len(), sample.more), (1, 19_999));
    }

    #[test]
    fn an_answer_that_is_no_json_is_an_error() {
        assert!(Sample::read("", "", "").is_err());
        assert!(Sample::read("{}", "{", "").is_err());
        assert!(Sample::read("{}", "", "{\"requests\": \"many\"}").is_err());
    }
}
