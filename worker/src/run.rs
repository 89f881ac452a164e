//! Runs the handler for one job, in a task of the job's own, and turns whatever comes of it into an answer.
//!
//! A handler may fail, panic, stream for hours or be cut off: the session goes on beside it, and the job always gets
//! its FINAL.

use std::panic::AssertUnwindSafe;
use std::time::Instant;

use futures_util::{FutureExt, StreamExt};
use protocol::Frames;
use protocol::mdp::client::Part;
use protocol::mdp::v03::Status;
use runtime::trace::{self, Trace};
use tokio::sync::mpsc;
use tracing::field::Empty;
use tracing::{Instrument, Span};

use crate::failure::Failure;
use crate::handler::Handler;
use crate::job::JobId;
use crate::request::{Parts, Reply, Request};
use crate::session::Input;

/// Where the answers of one job go. The channel is bounded: a stream waits while the broker does not read.
pub(crate) struct Answers {
    pub(crate) job: JobId,
    pub(crate) inputs: mpsc::Sender<Input>,
}

impl Answers {
    async fn send(&self, input: Input) {
        // An error means that the worker has ended, and nobody is left who could send an answer.
        let _ = self.inputs.send(input).await;
    }
}

/// Runs `handler` on `request` to its end, or until it is to be cut off.
pub(crate) async fn run<Kind, H: Handler<Kind>>(handler: H, request: Request, answers: Answers) {
    let (job, signal, deadline) = (answers.job, request.signal(), request.deadline);
    let span = open(&request);
    let trace = trace::begin(&span, Trace::read(request.traceparent(), request.tracestate()));
    let outcome = {
        let answered = AssertUnwindSafe(answer(handler, request, &answers)).catch_unwind();
        let answered = trace::within(trace, answered).instrument(span.clone());
        tokio::select! {
            biased;
            outcome = answered => Some(outcome),
            () = signal.cut_off() => None,
        }
    };
    span.record(
        "status",
        match &outcome {
            Some(Ok(Ok(_))) => Status::OK.code(),
            Some(Ok(Err(failure))) => failure.status(),
            Some(Err(_panic)) => Status::WORKER_FAILED.code(),
            None if deadline.is_some_and(|deadline| deadline <= Instant::now()) => Status::DEADLINE.code(),
            None => Status::CANCELLED.code(),
        },
    );
    drop(span);
    answers
        .send(match outcome {
            Some(Ok(Ok(body))) => Input::Reply { job, part: Part::Final, body },
            Some(Ok(Err(failure))) => Input::Failed { job, failure },
            Some(Err(_panic)) => Input::Failed { job, failure: Failure::of("worker panicked") },
            None => Input::Stopped { job },
        })
        .await;
}

/// The span of one attempt at a request: a child of the span of whoever asks. Its `status` is the handler's; 499 and
/// 408 are for one that was stopped.
fn open(request: &Request) -> Span {
    let span = tracing::debug_span!(
        "handle",
        otel.kind = "server",
        service = %request.service,
        id = Empty,
        attempt = request.attempt,
        status = Empty,
        trace_id = Empty,
        span_id = Empty,
        parent_id = Empty,
    );
    if let (Some(id), false) = (request.id, span.is_disabled()) {
        span.record("id", tracing::field::display(id));
    }
    span
}

async fn answer<Kind, H: Handler<Kind>>(handler: H, request: Request, answers: &Answers) -> Result<Frames, Failure> {
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
            answers.send(Input::Reply { job: answers.job, part: Part::Partial, body }).await;
        }
    }
    parts.last.or(held).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use futures_util::stream;

    use super::*;

    /// What a handler's answer becomes: parts, and the end with its first frame, or its status and reason.
    async fn answers<Kind: 'static, H: Handler<Kind>>(handler: H) -> Vec<(Part, String)> {
        let (inputs, mut heard) = mpsc::channel(1);
        let request = Request::new("echo".parse().unwrap(), ["question"]);
        tokio::spawn(run(handler, request, Answers { job: JobId(7), inputs }));
        let mut said = Vec::new();
        while let Some(input) = heard.recv().await {
            said.push(match input {
                Input::Reply { job: JobId(7), part, body } => (part, first(&body)),
                Input::Failed { job: JobId(7), failure } => (Part::Final, first(&failure.into_body())),
                other => panic!("{other:?}"),
            });
        }
        said
    }

    fn first(body: &Frames) -> String {
        body.first().map(|frame| String::from_utf8(frame.to_vec()).unwrap()).unwrap_or_default()
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

    /// A handler that has been stopped; what it says in the end.
    async fn stopped<Kind: 'static, H: Handler<Kind>>(handler: H) -> Input {
        let (inputs, mut heard) = mpsc::channel(1);
        let request = Request::new("echo".parse().unwrap(), ["question"]);
        let signal = request.signal();
        let running = tokio::spawn(run(handler, request, Answers { job: JobId(7), inputs }));
        tokio::task::yield_now().await;
        signal.stop();
        running.await.unwrap();
        heard.recv().await.unwrap()
    }

    #[tokio::test]
    async fn a_handler_that_is_stopped_is_dropped_where_it_stands() {
        let (dropped, witness) = tokio::sync::oneshot::channel::<()>();
        let dropped = std::sync::Arc::new(std::sync::Mutex::new(Some(dropped)));
        let endless = move |_: Request| async move {
            let _held = dropped.lock().unwrap().take();
            std::future::pending::<Result<Frames, String>>().await
        };
        assert!(matches!(stopped(endless).await, Input::Stopped { job: JobId(7) }));
        assert!(witness.await.is_err());
    }

    #[tokio::test]
    async fn a_handler_that_asked_is_told_and_ends_by_itself() {
        let tidy = |request: Request| async move {
            let cancellation = request.cancellation();
            cancellation.cancelled().await;
            assert!(cancellation.is_cancelled());
            tokio::task::yield_now().await;
            Ok::<Frames, String>(["tidied up"].into())
        };
        assert!(matches!(stopped(tidy).await, Input::Reply { part: Part::Final, .. }));
    }

    /// Says that it is ready at its second poll, and bears no call before.
    #[derive(Clone)]
    struct Reluctant {
        polls: u32,
    }

    impl tower::Service<Request> for Reluctant {
        type Response = Frames;
        type Error = String;
        type Future = std::future::Ready<Result<Frames, String>>;

        fn poll_ready(&mut self, context: &mut std::task::Context<'_>) -> std::task::Poll<Result<(), String>> {
            self.polls += 1;
            context.waker().wake_by_ref();
            if self.polls < 2 { std::task::Poll::Pending } else { std::task::Poll::Ready(Ok(())) }
        }

        fn call(&mut self, request: Request) -> Self::Future {
            assert!(self.polls >= 2, "called before it was ready");
            std::future::ready(Ok(request.body))
        }
    }

    #[tokio::test]
    async fn a_service_is_called_when_it_says_that_it_is_ready() {
        assert_eq!(answers(Reluctant { polls: 0 }).await, [last("question")]);
    }
}
