//! Handlers with types: a request is one frame of JSON, and so is its reply.

use std::future::Future;

use protocol::Frames;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::failure::Failure;
use crate::handler::Handler;
use crate::request::Request;

/// The kind of handlers that [`json`] makes; see [`Handler`].
#[derive(Debug)]
pub enum Typed {}

/// A handler made by [`json`].
#[derive(Debug)]
pub struct Json<F, Input> {
    function: F,
    input: std::marker::PhantomData<fn(Input)>,
}

/// Makes a handler of a function from a value to a value.
///
/// A request that is not one frame of JSON for `Input` fails with status 400 and never reaches the function; an error
/// of the function with 500, or with the status that it names. In MDP 0.1 and 0.2 that is a body which cannot be
/// mistaken for a result, for it is not JSON.
///
/// ```no_run
/// # #[derive(serde::Deserialize)] struct Order { item: String, count: u32 }
/// # #[derive(serde::Serialize)] struct Confirmation { total: u32 }
/// # async fn example() -> Result<(), worker::Error> {
/// let confirm = |order: Order| async move { Ok::<_, std::io::Error>(Confirmation { total: order.count * 3 }) };
/// worker::Worker::new("tcp://127.0.0.1:5555", "orders").serve(worker::json(confirm)).await
/// # }
/// ```
pub fn json<F, Input, Answer, Value, Error>(function: F) -> Json<F, Input>
where
    F: FnOnce(Input) -> Answer + Clone + Send + 'static,
    Input: DeserializeOwned,
    Answer: Future<Output = Result<Value, Error>> + Send,
    Value: Serialize,
    Error: Into<Failure>,
{
    Json { function, input: std::marker::PhantomData }
}

impl<F: Clone, Input> Clone for Json<F, Input> {
    fn clone(&self) -> Self {
        Self { function: self.function.clone(), input: self.input }
    }
}

impl<F, Input, Answer, Value, Error> Handler<(Typed, Answer, Value, Error)> for Json<F, Input>
where
    F: FnOnce(Input) -> Answer + Clone + Send + 'static,
    Input: DeserializeOwned + Send + 'static,
    Answer: Future<Output = Result<Value, Error>> + Send + 'static,
    Value: Serialize + 'static,
    Error: Into<Failure> + 'static,
{
    async fn call(self, request: Request) -> Result<crate::Reply, Failure> {
        let input = read(&request.body).map_err(|reason| Failure::new(400, reason))?;
        let value = (self.function)(input).await.map_err(Into::into)?;
        let text = serde_json::to_vec(&value).map_err(|error| Failure::of(format_args!("reply: {error}")))?;
        Ok(Frames::from([text]).into())
    }
}

fn read<Input: DeserializeOwned>(body: &Frames) -> Result<Input, String> {
    let [text] = &**body else {
        return Err(format!("expected one frame of JSON, got {} frames", body.len()));
    };
    serde_json::from_slice(text).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Reply;

    #[derive(serde::Deserialize)]
    struct Order {
        count: u32,
    }

    #[derive(Serialize)]
    struct Total {
        total: u32,
    }

    async fn answer(body: impl Into<Frames>) -> Result<Frames, (u16, String)> {
        let triple = |order: Order| async move {
            match order.count {
                0 => Err(Failure::new(409, "nothing ordered")),
                count => Ok(Total { total: count * 3 }),
            }
        };
        let request = Request::new("orders".parse().unwrap(), body);
        match json(triple).call(request).await {
            Ok(Reply::Whole(frames)) => Ok(frames),
            Ok(parts) => panic!("{parts:?}"),
            Err(failure) => Err((failure.status(), failure.reason().to_owned())),
        }
    }

    #[tokio::test]
    async fn a_value_goes_in_and_a_value_comes_out() {
        assert_eq!(answer([r#"{"count": 2}"#]).await, Ok([r#"{"total":6}"#].into()));
    }

    #[tokio::test]
    async fn a_malformed_request_fails_with_400_and_says_why() {
        for (body, expected) in [
            (Frames::from(["{"]), "EOF while parsing"),
            (["{}"].into(), "missing field `count`"),
            (["1", "2"].into(), "expected one frame of JSON, got 2 frames"),
        ] {
            let (status, reason) = answer(body).await.unwrap_err();
            assert!(status == 400 && reason.starts_with(expected), "{status} {reason}");
        }
    }

    #[tokio::test]
    async fn an_error_of_the_function_is_the_handlers_failure() {
        assert_eq!(answer([r#"{"count": 0}"#]).await, Err((409, "nothing ordered".to_owned())));
    }
}
