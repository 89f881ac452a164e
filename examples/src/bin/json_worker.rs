//! A handler with types: JSON comes in as one value and goes out as another.
//!
//! What is not an order never reaches the handler: it is answered `400` and the reason. An error of the handler is
//! answered `500` and its text.

use serde::{Deserialize, Serialize};
use worker::{Shutdown, Worker};

#[derive(Deserialize)]
struct Order {
    item: String,
    count: u64,
}

#[derive(Serialize)]
struct Confirmation {
    text: String,
    total: u64,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let confirm = |Order { item, count }: Order| async move {
        let total = count.checked_mul(3).ok_or("nobody can pay for that")?;
        Ok::<_, &str>(Confirmation { text: format!("{count} x {item}"), total })
    };
    Worker::new(examples::broker(), "orders").shutdown(Shutdown::on_signals()?).serve(worker::json(confirm)).await?;
    Ok(())
}
