//! Runs the handler for one job, in a task of the job's own, and turns whatever comes of it into an answer.
//!
//! A handler may fail, panic or stream for hours: the session goes on beside it, and the job always gets its FINAL.

use std::panic::AssertUnwindSafe;

use futures_util::{FutureExt, StreamExt};
use protocol::Frames;
use protocol::mdp::client::Part;
use tokio::sync::mpsc;

use crate::handler::Handler;
use crate::job::JobId;
use crate::request::{Parts, Reply, Request};
use crate::session::Input;
use crate::status;

/// Where the answers of one job go. The channel is bounded: a stream waits while the broker does not read.
pub(crate) struct Answers {
    pub(crate) job: JobId,
    pub(crate) inputs: mpsc::Sender<Input>,
}

impl Answers {
    async fn send(&self, part: Part, body: Frames) {
        // An error means that the worker has ended, and nobody is left who could send an answer.
        let _ = self.inputs.send(Input::Reply { job: self.job, part, body }).await;
    }
}

/// Runs `handler` on `request` to its end.
pub(crate) async fn run<Kind, H: Handler<Kind>>(handler: H, request: Request, answers: Answers) {
    let outcome = AssertUnwindSafe(answer(handler, request, &answers)).catch_unwind().await;
    let last = match outcome {
        Ok(Ok(body)) => body,
        Ok(Err(reason)) => status::failed(reason),
        Err(_panic) => status::failed("worker panicked"),
    };
    answers.send(Part::Final, last).await;
}

async fn answer<Kind, H: Handler<Kind>>(handler: H, request: Request, answers: &Answers) -> Result<Frames, String> {
    match handler.call(request).await? {
        Reply::Whole(body) => Ok(body),
        Reply::Parts(parts) => Ok(stream(parts, answers).await),
    }
}

/// Sends all parts but the last, which it returns.
async fn stream(mut parts: Parts, answers: &Answers) -> Frames {
    let mut held = None;
    while let Some(body) = parts.stream.next().await {
        let ready = if parts.last.is_some() { Some(body) } else { held.replace(body) };
        if let Some(body) = ready {
            answers.send(Part::Partial, body).await;
        }
    }
    parts.last.or(held).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use futures_util::stream;

    use super::*;

    /// What a handler's answer becomes, as part and first frame.
    async fn answers<Kind: 'static, H: Handler<Kind>>(handler: H) -> Vec<(Part, String)> {
        let (inputs, mut heard) = mpsc::channel(1);
        let request = Request { service: "echo".parse().unwrap(), body: ["question"].into() };
        tokio::spawn(run(handler, request, Answers { job: JobId(7), inputs }));
        let mut parts = Vec::new();
        while let Some(Input::Reply { job: JobId(7), part, body }) = heard.recv().await {
            parts
                .push((part, body.first().map(|frame| String::from_utf8(frame.to_vec()).unwrap()).unwrap_or_default()));
        }
        parts
    }

    fn last(text: &str) -> (Part, String) {
        (Part::Final, text.to_owned())
    }

    fn partial(text: &str) -> (Part, String) {
        (Part::Partial, text.to_owned())
    }

    #[tokio::test]
    async fn a_closure_is_a_handler() {
        let echo = |request: Request| async move { Ok::<Frames, String>(request.body) };
        assert_eq!(answers(echo).await, [last("question")]);
    }

    #[tokio::test]
    async fn a_tower_service_is_a_handler_and_brings_its_middleware() {
        let shout = tower::service_fn(|request: Request| async move { Ok::<_, String>(request.body) });
        let shout = tower::ServiceBuilder::new()
            .map_response(|mut body: Frames| {
                body.push_front("shouted");
                body
            })
            .service(shout);
        assert_eq!(answers(shout).await, [last("shouted")]);
    }

    #[tokio::test]
    async fn an_error_becomes_a_500_reply() {
        let fail = |_: Request| async { Err::<Frames, _>("out of paper") };
        assert_eq!(answers(fail).await, [last("500 out of paper")]);
    }

    #[tokio::test]
    async fn a_panic_becomes_a_500_reply_before_and_after_the_first_await_and_between_parts() {
        fn early(_: Request) -> std::future::Ready<Result<Frames, String>> {
            panic!("expected by the test")
        }
        assert_eq!(answers(early).await, [last("500 worker panicked")]);
        let late = |request: Request| async move {
            tokio::task::yield_now().await;
            assert!(request.body.is_empty(), "expected by the test");
            Ok::<Frames, String>(request.body)
        };
        assert_eq!(answers(late).await, [last("500 worker panicked")]);
        let streaming = |_: Request| async {
            let parts = stream::iter(["one", "two"]).map(|text| match text {
                "one" => Frames::from([text]),
                _ => panic!("expected by the test"),
            });
            Ok::<_, String>(Reply::stream_then(parts, ["end"]))
        };
        assert_eq!(answers(streaming).await, [partial("one"), last("500 worker panicked")]);
    }

    #[tokio::test]
    async fn the_last_item_of_a_stream_is_its_final_and_an_empty_stream_is_an_empty_answer() {
        let of = |items: &'static [&'static str]| {
            move |_: Request| async move {
                Ok::<_, String>(Reply::stream(stream::iter(items).map(|text| Frames::from([*text]))))
            }
        };
        assert_eq!(answers(of(&["one", "two", "three"])).await, [partial("one"), partial("two"), last("three")]);
        assert_eq!(answers(of(&["one"])).await, [last("one")]);
        assert_eq!(answers(of(&[])).await, [last("")]);
    }

    #[tokio::test]
    async fn a_stream_with_a_known_end_holds_nothing_back() {
        let streaming = |_: Request| async {
            Ok::<_, String>(Reply::stream_then(stream::iter(["one", "two"]).map(|text| Frames::from([text])), ["end"]))
        };
        assert_eq!(answers(streaming).await, [partial("one"), partial("two"), last("end")]);
    }
}
