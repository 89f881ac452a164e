//! What a broker serves: services, their workers, and the requests that wait.

#![allow(clippy::print_stdout, reason = "a program")]

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    for service in client::services(examples::broker()).await?.services {
        println!("{}: {} workers, {} waiting", service.service, service.workers, service.queued);
    }
    Ok(())
}
