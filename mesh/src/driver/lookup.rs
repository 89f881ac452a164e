//! The addresses behind the names of other nodes, asked again now and then: a name may stand for many, and they change.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::net::lookup_host;
use tokio::sync::watch;
use tokio::task::AbortHandle;

/// What the names stand for now. Dropped, it asks no more.
#[derive(Debug)]
pub(super) struct Lookup {
    found: watch::Receiver<Vec<SocketAddr>>,
    /// `None` without names.
    task: Option<AbortHandle>,
}

/// How often names are asked for their addresses.
const INTERVAL: Duration = Duration::from_secs(5);
/// Addresses that beacons are sent to, at most.
const ADDRESSES_MAX: usize = 1024;

impl Lookup {
    /// Asks for `host:port`, or `host` with this port.
    pub(super) fn start(names: Vec<String>, port: u16) -> Self {
        let (tell, found) = watch::channel(Vec::new());
        let task = (!names.is_empty()).then(|| tokio::spawn(ask(names, port, tell)).abort_handle());
        Self { found, task }
    }

    /// Waits until the names stand for other addresses. Cancel safe.
    pub(super) async fn changed(&mut self) -> Vec<SocketAddr> {
        if self.found.changed().await.is_err() {
            return std::future::pending().await;
        }
        self.found.borrow_and_update().clone()
    }
}

impl Drop for Lookup {
    fn drop(&mut self) {
        self.task.iter().for_each(AbortHandle::abort);
    }
}

async fn ask(names: Vec<String>, port: u16, tell: watch::Sender<Vec<SocketAddr>>) {
    loop {
        let mut addresses: Vec<SocketAddr> = Vec::new();
        for name in &names {
            match address_of(name, port).await {
                Ok(found) => addresses.extend(found),
                Err(error) => tracing::debug!(name, %error, "no address"),
            }
        }
        addresses.sort_unstable();
        addresses.dedup();
        addresses.truncate(ADDRESSES_MAX);
        tell.send_if_modified(|known| {
            let has_changed = *known != addresses;
            *known = addresses;
            has_changed
        });
        tokio::time::sleep(INTERVAL).await;
    }
}

async fn address_of(name: &str, port: u16) -> std::io::Result<Vec<SocketAddr>> {
    let has_port = name.parse::<SocketAddr>().is_ok()
        || name.rsplit_once(':').is_some_and(|(host, port)| !host.contains(':') && port.parse::<u16>().is_ok());
    if has_port {
        return Ok(lookup_host(name).await?.collect());
    }
    Ok(lookup_host((name, port)).await?.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_name_has_a_port_of_its_own_or_that_of_beacons() {
        for (name, address) in [
            ("127.0.0.1", "127.0.0.1:5670"),
            ("127.0.0.1:99", "127.0.0.1:99"),
            ("::1", "[::1]:5670"),
            ("[::1]:99", "[::1]:99"),
        ] {
            assert_eq!(address_of(name, 5670).await.unwrap(), [address.parse().unwrap()], "{name}");
        }
        assert!(address_of("localhost:99", 5670).await.unwrap().iter().all(|address| address.port() == 99));
    }

    #[tokio::test]
    async fn what_is_found_is_told_once() {
        let mut lookup = Lookup::start(vec!["127.0.0.1".into(), "127.0.0.1:5670".into()], 5670);
        assert_eq!(lookup.changed().await, ["127.0.0.1:5670".parse().unwrap()]);
    }
}
