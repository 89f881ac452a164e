//! A worker that is given no address: it finds the broker of a name in the mesh, and follows it when it moves.
//!
//! `majordomo broker --mesh --name example` is such a broker. The arguments are a name and a network interface.

use mesh::{Settings, Wanted};
use worker::{Frames, Request, Worker};

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let mut arguments = std::env::args().skip(1);
    let broker = arguments.next().unwrap_or_else(|| "example".to_owned());
    let interfaces = arguments.map(|name| name.parse()).collect::<Result<_, _>>()?;
    let found = mesh::find(Settings { interfaces, ..Settings::default() }, Wanted { broker, service: None }).await?;
    let worker = Worker::new(found.endpoint.to_string(), "echo").socket_options(found.follow(Default::default()));
    Ok(worker.serve(|request: Request| async move { Ok::<Frames, String>(request.body) }).await?)
}
