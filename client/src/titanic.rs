//! Requests that survive: what Titanic offers (RFC 9), as calls. Made by [`Client::titanic`].
//!
//! ```no_run
//! # async fn example(client: client::Client) -> Result<(), client::Error> {
//! use std::time::Duration;
//!
//! use client::Fetched;
//!
//! let titanic = client.titanic();
//! let id = titanic.submit("invoice", ["number 7"]).await?;
//! // Days later, perhaps in another process:
//! if let Fetched::Answer(answer) = titanic.fetch(id, Duration::from_secs(30)).await? {
//!     println!("{answer:?}");
//!     titanic.close(id).await?;
//! }
//! # Ok(())
//! # }
//! ```

use std::time::Duration;

use bytes::Bytes;
use protocol::mdp::v03::Idempotency;
use protocol::{Frames, RequestId, ServiceName};

use crate::client::Client;
use crate::error::{Error, Misuse};

/// Titanic behind one client. What it says no to is [`Error::Refused`], with its status and its words.
#[derive(Clone, Copy, Debug)]
pub struct Titanic<'client> {
    client: &'client Client,
}

/// What has become of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fetched {
    /// The service has answered, and this is it. It stays until it is closed.
    Answer(Frames),
    /// Not yet.
    Pending,
    /// Nobody has submitted it, or it was closed.
    Unknown,
}

impl Client {
    /// What Titanic offers at this broker.
    pub fn titanic(&self) -> Titanic<'_> {
        Titanic { client: self }
    }
}

impl Titanic<'_> {
    /// Stores a request for `service`, which need not be there. When this returns the request survives whatever comes.
    ///
    /// # Errors
    /// [`Error::Refused`] when it is not taken, and those of [`Client::request`]: then nobody knows whether it was.
    pub async fn submit(&self, service: impl AsRef<[u8]>, body: impl Into<Frames>) -> Result<RequestId, Error> {
        // Whoever has the id has the answer, so nobody may be able to guess it.
        let mut id = [0; 16];
        getrandom::fill(&mut id).map_err(|error| Misuse::NoRandom(error.to_string()))?;
        self.submit_as(RequestId(id), service, body).await
    }

    /// The same under an id that the caller has chosen: one that is repeated within a day, also by another process, is
    /// taken once. Never use an id again for another request.
    ///
    /// # Errors
    /// As [`submit`](Self::submit).
    pub async fn submit_as(
        &self,
        id: RequestId,
        service: impl AsRef<[u8]>,
        body: impl Into<Frames>,
    ) -> Result<RequestId, Error> {
        let mut frames: Frames = body.into();
        if frames.is_empty() {
            frames.push(Bytes::new());
        }
        frames.push_front(Bytes::copy_from_slice(service.as_ref()));
        // Titanic knows a repeated one by itself. A broker that kept its answer would go on saying that the log is
        // full.
        let ask = self.client.ask(REQUEST).id(id).idempotency(Idempotency::Repeatable);
        let told = ask.request(frames).await?.body;
        match (status(&told), told.get(1)) {
            (b"200", Some(id)) => parse(id).ok_or_else(|| bad_reply(REQUEST, "the id is none")),
            _ => Err(refused(REQUEST, &told)),
        }
    }

    /// What has become of a request; waits up to `wait` for its answer.
    ///
    /// # Errors
    /// [`Error::Refused`] when it was given up, and those of [`Client::request`].
    pub async fn fetch(&self, id: RequestId, wait: Duration) -> Result<Fetched, Error> {
        let mut question = Frames::from([text(id)]);
        if !wait.is_zero() {
            question.push(wait.as_millis().to_string());
        }
        // The answer may come in the last moment of the wait.
        let patience = wait.saturating_add(GRACE);
        let ask = self.client.ask(REPLY).timeout(patience).deadline(patience.saturating_add(GRACE));
        let told = ask.request(question).await?.body;
        match status(&told) {
            b"200" => Ok(Fetched::Answer(told.skip(1))),
            b"300" => Ok(Fetched::Pending),
            b"400" => Ok(Fetched::Unknown),
            _ => Err(refused(REPLY, &told)),
        }
    }

    /// Forgets a request and its answer. One that is not known is no error.
    ///
    /// # Errors
    /// [`Error::Refused`] when that cannot be stored, and those of [`Client::request`].
    pub async fn close(&self, id: RequestId) -> Result<(), Error> {
        self.tell(CLOSE, Frames::from([text(id)])).await.map(drop)
    }

    /// What was given up, a JSON object each, behind `after`: up to 256 of them.
    ///
    /// # Errors
    /// As [`close`](Self::close).
    pub async fn dead(&self, after: Option<RequestId>) -> Result<Frames, Error> {
        let mut question = Frames::from(["list".to_owned()]);
        if let Some(after) = after {
            question.push(text(after));
        }
        self.tell(DEAD, question).await
    }

    /// Service and body of a request that was given up.
    ///
    /// # Errors
    /// [`Error::Refused`] when it was not, and those of [`Client::request`].
    pub async fn read_dead(&self, id: RequestId) -> Result<Frames, Error> {
        self.tell(DEAD, ["read".to_owned(), text(id)].into()).await
    }

    /// Has a request that was given up called again, with all its attempts.
    ///
    /// # Errors
    /// As [`read_dead`](Self::read_dead).
    pub async fn replay_dead(&self, id: RequestId) -> Result<(), Error> {
        self.tell(DEAD, ["replay".to_owned(), text(id)].into()).await.map(drop)
    }

    /// Forgets a request that was given up.
    ///
    /// # Errors
    /// As [`read_dead`](Self::read_dead).
    pub async fn drop_dead(&self, id: RequestId) -> Result<(), Error> {
        self.tell(DEAD, ["drop".to_owned(), text(id)].into()).await.map(drop)
    }

    async fn tell(&self, service: &'static str, question: Frames) -> Result<Frames, Error> {
        let told = self.client.request(service, question).await?.body;
        if status(&told) == b"200" { Ok(told.skip(1)) } else { Err(refused(service, &told)) }
    }
}

/// Three digits; more may stand behind them.
fn status(told: &Frames) -> &[u8] {
    told.first().and_then(|status| status.get(..3)).unwrap_or_default()
}

fn refused(service: &'static str, told: &Frames) -> Error {
    let status = told.first().map(|status| String::from_utf8_lossy(status).escape_debug().to_string());
    Error::Refused { service: name(service), status: status.unwrap_or_default() }
}

fn bad_reply(service: &'static str, reason: &str) -> Error {
    Error::BadReply { service: name(service), reason: reason.to_owned() }
}

fn name(service: &'static str) -> ServiceName {
    ServiceName::new(service).expect("the services of Titanic have names")
}

fn text(RequestId(id): RequestId) -> String {
    id.iter().map(|octet| format!("{octet:02x}")).collect()
}

fn parse(text: &[u8]) -> Option<RequestId> {
    let text = std::str::from_utf8(text).ok().filter(|text| text.len() == 32 && !text.starts_with('+'))?;
    u128::from_str_radix(text, 16).ok().map(|id| RequestId(id.to_be_bytes()))
}

const REQUEST: &str = "titanic.request";
const REPLY: &str = "titanic.reply";
const CLOSE: &str = "titanic.close";
const DEAD: &str = "titanic.dead";
/// Added to a wait, for the way there and back.
const GRACE: Duration = Duration::from_millis(2500);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_read_as_it_is_written_and_nothing_else_is_one() {
        let id = RequestId([0x0f; 16]);
        assert_eq!(text(id), "0f".repeat(16));
        assert_eq!(parse(text(id).as_bytes()), Some(id));
        assert_eq!(parse(text(id).to_uppercase().as_bytes()), Some(id));
        for wrong in ["", "0f", &"0g".repeat(16), &format!("+{}", "0".repeat(31)), &"0".repeat(33)] {
            assert_eq!(parse(wrong.as_bytes()), None, "{wrong}");
        }
    }

    #[test]
    fn a_status_is_its_three_digits_whatever_stands_behind_them() {
        assert_eq!(status(&["200"].into()), b"200");
        assert_eq!(status(&["300 pending"].into()), b"300");
        assert_eq!(status(&["2"].into()), b"");
        assert_eq!(status(&Frames::new()), b"");
    }
}
