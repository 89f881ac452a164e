//! The material-management worker, service `MM`: purchase orders, kept by the database worker behind another broker.
//!
//! ```text
//! POSave    document            -> MongoDB: mydb Coll_PO CREATE document
//! POSelect  query [options]     -> MongoDB: mydb Coll_PO RETRIEVE query [options]
//! POUpdate  query update        -> MongoDB: mydb Coll_PO UPDATE query update
//! PODelete  query               -> MongoDB: mydb Coll_PO DELETE query
//! ```
//!
//! The database worker's answer is passed on as it is. What is in the documents is its business: this file knows which
//! operations there are and where purchase orders live.

use std::future::Future;

use bytes::Bytes;
use worker::Frames;

use crate::refusal::one_line;
use crate::reply;

/// The way to the database worker.
pub trait DatabaseClient: Send + Sync {
    /// Why a request had no answer, for a person to read.
    type Error: std::fmt::Display + Send;

    /// Asks a service; its answer.
    fn request(&self, service: &str, body: Frames) -> impl Future<Output = Result<Frames, Self::Error>> + Send;
}

impl DatabaseClient for client::Client {
    type Error = client::Error;

    async fn request(&self, service: &str, body: Frames) -> Result<Frames, client::Error> {
        Ok(Self::request(self, service, body).await?.body)
    }
}

/// Answers requests about purchase orders.
#[derive(Debug, Clone)]
pub struct Handler<C> {
    client: C,
    service: String,
}

impl<C: DatabaseClient> Handler<C> {
    /// A handler that asks the database service [`DATABASE_SERVICE`] through this client.
    pub fn new(client: C) -> Self {
        Self::with_service(client, DATABASE_SERVICE)
    }

    /// The same with a database service of another name.
    pub fn with_service(client: C, service: impl Into<String>) -> Self {
        Self { client, service: service.into() }
    }

    /// Answers one request. Every failure is a status in the answer.
    pub async fn handle(&self, body: Frames) -> Frames {
        let request = match request(&body) {
            Ok(request) => request,
            Err(reason) => return reply::refused(reason),
        };
        match self.client.request(&self.service, request).await {
            Ok(answer) if !answer.is_empty() => answer,
            Ok(_) => reply::broken(format!("the service {} sent an empty answer", self.service)),
            Err(error) => reply::broken(format!("the service {} did not answer: {error}", self.service)),
        }
    }
}

/// The request to the database worker that an operation means.
fn request(body: &[Bytes]) -> Result<Frames, String> {
    let Some((operation, operands)) = body.split_first() else {
        return Err(format!("a request has no frames; {SHAPE}"));
    };
    let (database_operation, operands_allowed) = match operation.as_ref() {
        b"POSave" => ("CREATE", 1..=1),
        b"POSelect" => ("RETRIEVE", 1..=2),
        b"POUpdate" => ("UPDATE", 2..=2),
        b"PODelete" => ("DELETE", 1..=1),
        other => return Err(format!("unknown operation \"{}\"; {SHAPE}", one_line(&String::from_utf8_lossy(other)))),
    };
    if !operands_allowed.contains(&operands.len()) {
        let name = String::from_utf8_lossy(operation);
        return Err(format!("{name} has {} frames behind it; {SHAPE}", operands.len()));
    }
    let mut request = Frames::from([DATABASE, COLLECTION, database_operation]);
    request.extend(operands.iter().cloned());
    Ok(request)
}

/// The service that keeps documents, unless it is told another name.
pub const DATABASE_SERVICE: &str = "MongoDB";
/// The database of purchase orders.
pub const DATABASE: &str = "mydb";
/// The collection of purchase orders.
pub const COLLECTION: &str = "Coll_PO";
const SHAPE: &str =
    "the frames are POSave document | POSelect query [options] | POUpdate query update | PODelete query";

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    /// Answers what it was told to, and remembers what it was asked.
    struct Script {
        answer: Result<Frames, &'static str>,
        asked: Mutex<Vec<(String, Frames)>>,
    }

    impl DatabaseClient for Script {
        type Error = &'static str;

        async fn request(&self, service: &str, body: Frames) -> Result<Frames, &'static str> {
            self.asked.lock().unwrap().push((service.to_owned(), body));
            self.answer.clone()
        }
    }

    async fn handle(answer: Result<Frames, &'static str>, body: Frames) -> (Frames, Vec<(String, Frames)>) {
        let handler = Handler::new(Script { answer, asked: Mutex::default() });
        let reply = handler.handle(body).await;
        (reply, handler.client.asked.into_inner().unwrap())
    }

    #[tokio::test]
    async fn each_operation_asks_the_database_worker_and_passes_its_answer_on() {
        for (body, asked) in [
            (["POSave", "{\"a\":1}"].as_slice(), ["mydb", "Coll_PO", "CREATE", "{\"a\":1}"].as_slice()),
            (&["POSelect", "{}"], &["mydb", "Coll_PO", "RETRIEVE", "{}"]),
            (&["POSelect", "{}", "{\"limit\":1}"], &["mydb", "Coll_PO", "RETRIEVE", "{}", "{\"limit\":1}"]),
            (&["POUpdate", "{}", "{\"$set\":{}}"], &["mydb", "Coll_PO", "UPDATE", "{}", "{\"$set\":{}}"]),
            (&["PODelete", "{}"], &["mydb", "Coll_PO", "DELETE", "{}"]),
        ] {
            let frames = |texts: &[&'static str]| texts.iter().map(|text| Bytes::from(*text)).collect::<Frames>();
            let answer = Frames::from(["200", "row"]);
            let outcome = handle(Ok(answer.clone()), frames(body)).await;
            assert_eq!(outcome, (answer, vec![("MongoDB".to_owned(), frames(asked))]));
        }
    }

    #[tokio::test]
    async fn nothing_found_is_an_answer() {
        let (reply, _) = handle(Ok(["200"].into()), ["POSelect", "{}"].into()).await;
        assert_eq!(reply, Frames::from(["200"]));
    }

    #[tokio::test]
    async fn malformed_requests_are_refused_before_anyone_is_asked() {
        for (body, reason) in [
            (Frames::new(), "400 a request has no frames; the frames are POSave"),
            (["posave", "{}"].into(), "400 unknown operation \"posave\"; the frames are POSave"),
            (["POSave"].into(), "400 POSave has 0 frames behind it; the frames are POSave"),
            (["POUpdate", "{}"].into(), "400 POUpdate has 1 frames behind it"),
            (["PODelete", "{}", "{}"].into(), "400 PODelete has 2 frames behind it"),
        ] {
            let (reply, asked) = handle(Ok(Frames::new()), body).await;
            assert!(reply[0].starts_with(reason.as_bytes()), "{reply:?}");
            assert_eq!(asked, []);
        }
    }

    #[tokio::test]
    async fn a_database_worker_that_does_not_answer_is_a_status() {
        let (reply, _) = handle(Err("timed out"), ["POSelect", "{}"].into()).await;
        assert_eq!(reply, Frames::from(["500 the service MongoDB did not answer: timed out"]));
        let (reply, _) = handle(Ok(Frames::new()), ["POSelect", "{}"].into()).await;
        assert_eq!(reply, Frames::from(["500 the service MongoDB sent an empty answer"]));
    }
}
