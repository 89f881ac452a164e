//! `majordomo services`: what a broker serves, as a table or as JSON lines.

use client::Service;

use super::call::pirate;
use crate::args::Services;
use crate::output;
use crate::usage::Unsuccessful;

pub(super) async fn run(settings: Services, json: bool) -> Result<(), Unsuccessful> {
    let mut pirate = pirate(&settings.broker, &settings.patience, &settings.security)?;
    let services = pirate.services().await.map_err(anyhow::Error::from)?;
    if json {
        for service in &services {
            output::json(&serde_json::to_value(service).map_err(anyhow::Error::from)?)?;
        }
        return Ok(());
    }
    for line in table(&services) {
        output::line(&line)?;
    }
    Ok(())
}

/// A line a service, below a heading, in columns as wide as their widest cell.
fn table(services: &[Service]) -> Vec<String> {
    // A name may hold anything; a line end in it would break the table.
    let names: Vec<String> = services.iter().map(|service| service.service.escape_debug().to_string()).collect();
    let width = names.iter().map(|name| name.chars().count()).chain([HEADING.len()]).max().unwrap_or(0);
    let heading = format!("{HEADING:width$}  WORKERS  WAITING  QUEUED");
    let rows = names.iter().zip(services).map(|(name, Service { workers, waiting, queued, .. })| {
        format!("{name:width$}  {workers:>7}  {waiting:>7}  {queued:>6}")
    });
    std::iter::once(heading).chain(rows).collect()
}

const HEADING: &str = "SERVICE";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_aligned_whatever_the_names_are() {
        let lines = [
            r#"{"service":"echo","workers":3,"waiting":2,"queued":0}"#,
            r#"{"service":"a long\nname","workers":12,"waiting":0,"queued":10000}"#,
        ];
        let services = lines.map(|line| serde_json::from_str(line).unwrap());
        assert_eq!(
            table(&services),
            [
                "SERVICE       WORKERS  WAITING  QUEUED",
                "echo                3        2       0",
                "a long\\nname       12        0   10000",
            ]
        );
    }
}
