//! A reply in parts: the request is a number, and the reply counts down from it, a part a step.
//!
//! The stream is asked for its next part only when the broker has taken the ones before. A client that speaks MDP 0.1
//! gets all parts as one reply.

use futures_util::stream;
use worker::{Failure, Frames, Reply, Request, Shutdown, Worker};

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let countdown = |request: Request| async move { count_down(&request.body) };
    Worker::new(examples::broker(), "countdown").shutdown(Shutdown::on_signals()?).serve(countdown).await?;
    Ok(())
}

fn count_down(body: &Frames) -> Result<Reply, Failure> {
    let text = body.first().map(|frame| String::from_utf8_lossy(frame).into_owned()).unwrap_or_default();
    match text.parse::<u32>() {
        Ok(start) => {
            let numbers = (1..=start).rev().map(|number| Frames::from([number.to_string()]));
            Ok(Reply::stream_then(stream::iter(numbers), ["lift-off"]))
        }
        Err(error) => Err(Failure::new(400, format!("{text:?} is not a number: {error}"))),
    }
}
