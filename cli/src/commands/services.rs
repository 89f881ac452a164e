//! `majordomo services`: what a broker serves, as a table or as JSON lines.

use client::{Listing, Service};
use mesh::Offer;
use serde_json::json;

use super::call::{find, pirate};
use crate::args::Services;
use crate::discovery;
use crate::output;
use crate::usage::Unsuccessful;

pub(super) async fn run(settings: Services, json: bool) -> Result<(), Unsuccessful> {
    let Some(broker) = &settings.broker else { return of_mesh(&settings, json).await };
    let found = find(broker, &settings.discovery, &settings.security, None, &settings.patience).await?;
    let mut pirate = pirate(&found, &settings.patience, &settings.security)?;
    let patterns: Vec<&str> = settings.patterns.iter().map(String::as_str).collect();
    let Listing { services, more, .. } = pirate.services_like(&patterns).await.map_err(anyhow::Error::from)?;
    if more > 0 {
        tracing::warn!("{more} services more than fit into one answer: name some, or PREFIX*");
    }
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

/// What every broker of the mesh says that it serves.
async fn of_mesh(settings: &Services, json: bool) -> Result<(), Unsuccessful> {
    let offers = discovery::offers(&settings.discovery, &settings.security).await?;
    if json {
        for Offer { service, broker, endpoint, node, is_direct } in &offers {
            let uuid = node.to_string();
            output::json(&json!({
                "service": **service, "broker": **broker, "endpoint": **endpoint, "uuid": uuid, "direct": is_direct
            }))?;
        }
        return Ok(());
    }
    for line in offer_table(&offers) {
        output::line(&line)?;
    }
    Ok(())
}

fn offer_table(offers: &[Offer]) -> Vec<String> {
    let row = |offer: &Offer| {
        let [service, broker, endpoint] =
            [&offer.service, &offer.broker, &offer.endpoint].map(|text| text.escape_debug().to_string());
        [service, if offer.is_direct { broker + DIRECT } else { broker }, endpoint]
    };
    let rows: Vec<[String; 3]> =
        std::iter::once([HEADING, "BROKER", "ENDPOINT"].map(str::to_owned)).chain(offers.iter().map(row)).collect();
    let width =
        |column: fn(&[String; 3]) -> &str| rows.iter().map(|row| column(row).chars().count()).max().unwrap_or(0);
    let (first, second) = (width(|[service, ..]| service), width(|[_, broker, _]| broker));
    rows.iter().map(|[service, broker, endpoint]| format!("{service:first$}  {broker:second$}  {endpoint}")).collect()
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
/// Behind the name of a worker that is called directly.
const DIRECT: &str = " (direct)";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn offers_stand_in_columns_and_an_empty_mesh_is_a_heading() {
        let offer = |service: &str, broker: &str, is_direct| Offer {
            is_direct,
            service: service.into(),
            broker: broker.into(),
            endpoint: "tcp://10.0.0.1:5555".into(),
            node: mesh::NodeId([1; 16]),
        };
        assert_eq!(offer_table(&[]), ["SERVICE  BROKER  ENDPOINT"]);
        assert_eq!(
            offer_table(&[offer("a-long-service", "app", false), offer("b\n", "database", true)]),
            [
                "SERVICE         BROKER             ENDPOINT",
                "a-long-service  app                tcp://10.0.0.1:5555",
                "b\\n             database (direct)  tcp://10.0.0.1:5555",
            ]
        );
    }

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
