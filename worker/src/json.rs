//! Handlers with types: a request is one frame of JSON, and so is its reply.

use std::fmt::Display;
use std::future::Future;

use protocol::Frames;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::handler::Handler;
use crate::request::Request;
use crate::status;

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
/// A request that is not one frame of JSON for `Input` is answered `400 reason` and never reaches the function; an
/// error of the function is answered `500 reason`. Neither can be mistaken for a result, for it is not JSON.
///
/// ```no_run
/// # #[derive(serde::Deserialize)] struct Order { item: String, count: u32 }
/// # #[derive(serde::Serialize)] struct Confirmation { total: u32 }
/// # async fn example() -> Result<(), worker::Error> {
/// let confirm = |order: Order| async move { Ok::<_, std::io::Error>(Confirmation { total: order.count * 3 }) };
/// worker::Worker::new("tcp://127.0.0.1:5555", "orders").serve(worker::json(confirm)).await
/// # }
/// ```
pub fn json<F, Input, Answer, Value, Failure>(function: F) -> Json<F, Input>
where
    F: FnOnce(Input) -> Answer + Clone + Send + 'static,
    Input: DeserializeOwned,
    Answer: Future<Output = Result<Value, Failure>> + Send,
    Value: Serialize,
    Failure: Display,
{
    Json { function, input: std::marker::PhantomData }
}

impl<F: Clone, Input> Clone for Json<F, Input> {
    fn clone(&self) -> Self {
        Self { function: self.function.clone(), input: self.input }
    }
}

impl<F, Input, Answer, Value, Failure> Handler<(Typed, Answer, Value, Failure)> for Json<F, Input>
where
    F: FnOnce(Input) -> Answer + Clone + Send + 'static,
    Input: DeserializeOwned + Send + 'static,
    Answer: Future<Output = Result<Value, Failure>> + Send + 'static,
    Value: Serialize + 'static,
    Failure: Display + 'static,
{
    async fn call(self, request: Request) -> Result<crate::Reply, String> {
        let input = match read(&request.body) {
            Ok(input) => input,
            Err(reason) => return Ok(status::bad_request(reason).into()),
        };
        let value = (self.function)(input).await.map_err(|failure| failure.to_string())?;
        let text = serde_json::to_vec(&value).map_err(|failure| format!("reply: {failure}"))?;
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

    async fn answer(body: impl Into<Frames>) -> Result<Frames, String> {
        let triple = |order: Order| async move {
            match order.count {
                0 => Err("nothing ordered"),
                count => Ok(Total { total: count * 3 }),
            }
        };
        let request = Request { service: "orders".parse().unwrap(), body: body.into() };
        match json(triple).call(request).await? {
            Reply::Whole(frames) => Ok(frames),
            parts => panic!("{parts:?}"),
        }
    }

    #[tokio::test]
    async fn a_value_goes_in_and_a_value_comes_out() {
        assert_eq!(answer([r#"{"count": 2}"#]).await, Ok([r#"{"total":6}"#].into()));
    }

    #[tokio::test]
    async fn a_malformed_request_is_answered_400_and_says_why() {
        for (body, reason) in [
            (Frames::from(["{"]), "400 EOF while parsing"),
            (["{}"].into(), "400 missing field `count`"),
            (["1", "2"].into(), "400 expected one frame of JSON, got 2 frames"),
        ] {
            let reply = answer(body).await.unwrap();
            assert!(reply[0].starts_with(reason.as_bytes()), "{reply:?}");
        }
    }

    #[tokio::test]
    async fn an_error_of_the_function_is_the_handlers_error() {
        assert_eq!(answer([r#"{"count": 0}"#]).await, Err("nothing ordered".to_owned()));
    }
}
