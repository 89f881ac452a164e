//! A Redis server as the cache that several workers share.
//!
//! ```text
//! majordomo NUL tag NUL database.collection NUL generation      -> generation (16)
//! majordomo NUL tag NUL database.collection NUL answer NUL QUERY -> generation (16), then for each row: length (4,
//! big endian) bytes
//! ```
//!
//! An answer counts while its generation is the collection's. Both are read by one command, so that nothing comes
//! between; a write sets a new random generation, also by one command. An answer that arrives late carries an old
//! generation and is never found.
//!
//! The instance is the server's `run_id`, asked for on each new connection: a server that restarts, with or without
//! its old data, is another instance. So a connection is used until its first error and then replaced, not repaired.
//! (A proxy in front of several servers would hide that: connect to the server itself.)

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bson::Uuid;
use bytes::{Buf, BufMut, Bytes};
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, Client, Cmd, ErrorKind, FromRedisValue};
use tokio::time::timeout;

use super::{Cache, Generation, Look, Scope};
use crate::limits::{CACHE_AGE_MAX, CACHE_PATIENCE};

/// A Redis server.
#[derive(Debug)]
pub struct Redis {
    client: Client,
    state: Arc<Mutex<State>>,
}

/// What is known of the server.
enum State {
    /// It can be asked.
    Up(Link),
    /// A task is connecting.
    Connecting,
    /// The last try or the last command failed; the next try is due then.
    Down { retry_at: Instant },
}

impl std::fmt::Debug for State {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(match self {
            Self::Up(_) => "Up",
            Self::Connecting => "Connecting",
            Self::Down { .. } => "Down",
        })
    }
}

/// A connection, which never outlives the server process that it leads to.
#[derive(Clone)]
struct Link {
    connection: MultiplexedConnection,
    instance: String,
}

impl Redis {
    /// Whether a URL could be used.
    ///
    /// # Errors
    /// What the client library finds wrong with it.
    pub fn check(url: &str) -> Result<(), String> {
        Client::open(url).map(drop).map_err(|error| error.to_string())
    }

    /// A cache at this URL, connected if the server is there now. `None` if [`Self::check`] would refuse the URL.
    pub async fn connect(url: &str) -> Option<Self> {
        let client = Client::open(url).ok()?;
        let state = State::of(Link::new(&client).await);
        Some(Self { client, state: Arc::new(Mutex::new(state)) })
    }

    /// The connection. Without one a task begins to make one, unless the last try is too recent; nobody waits for it.
    fn link(&self) -> Option<Link> {
        let mut state = lock(&self.state);
        match &*state {
            State::Up(link) => return Some(link.clone()),
            State::Connecting => return None,
            State::Down { retry_at } if Instant::now() < *retry_at => return None,
            State::Down { .. } => *state = State::Connecting,
        }
        let (client, shared) = (self.client.clone(), Arc::clone(&self.state));
        tokio::spawn(async move {
            let next = State::of(Link::new(&client).await);
            *lock(&shared) = next;
        });
        None
    }

    /// The connection, if it leads to the instance that holds the grant.
    fn link_to(&self, scope: &Scope) -> Option<Link> {
        self.link().filter(|link| link.instance == scope.by)
    }

    /// Sends a command. A refusal by the server (its memory is full …) is no answer; any other error or too long a
    /// silence gives the connection up.
    async fn ask<T: FromRedisValue>(&self, mut link: Link, command: &Cmd) -> Option<T> {
        match timeout(CACHE_PATIENCE, command.query_async(&mut link.connection)).await {
            Ok(Ok(answer)) => Some(answer),
            Ok(Err(error)) if matches!(error.kind(), ErrorKind::Server(_)) => None,
            Ok(Err(_)) | Err(_) => {
                *lock(&self.state) = State::Down { retry_at: Instant::now() + RETRY_DELAY };
                None
            }
        }
    }

    async fn begin_generation(&self, link: Link, scope: &Scope) -> Option<Look> {
        let generation = new_generation();
        let mut set = set_generation(scope, generation);
        set.arg("NX");
        // Nothing is answered when another worker was faster; its generation is found next time.
        let set: Option<String> = self.ask(link, &set).await?;
        set.map(|_| Look::Missing(generation))
    }
}

impl State {
    fn of(link: Option<Link>) -> Self {
        match link {
            Some(link) => Self::Up(link),
            None => Self::Down { retry_at: Instant::now() + RETRY_DELAY },
        }
    }
}

impl Link {
    /// Connects and asks which process it is that answers.
    async fn new(client: &Client) -> Option<Self> {
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(CONNECT_PATIENCE))
            .set_response_timeout(Some(CONNECT_PATIENCE));
        let connect = async {
            let mut connection = client.get_multiplexed_async_connection_with_config(&config).await.ok()?;
            let text: String = redis::cmd("INFO").arg("server").query_async(&mut connection).await.ok()?;
            let run_id = text.lines().find_map(|line| line.strip_prefix("run_id:"))?.trim();
            Some(Self { instance: format!("redis:{run_id}"), connection })
        };
        timeout(CONNECT_PATIENCE, connect).await.ok()?
    }
}

impl Cache for Redis {
    fn instance(&self) -> Option<String> {
        self.link().map(|link| link.instance)
    }

    fn look<'a>(&'a self, scope: &'a Scope, query: &'a [u8]) -> BoxFuture<'a, Option<Look>> {
        async move {
            let link = self.link_to(scope)?;
            let mut command = redis::cmd("MGET");
            command.arg(generation_key(scope)).arg(answer_key(scope, query));
            let (generation, answer): (Option<Vec<u8>>, Option<Vec<u8>>) = self.ask(link.clone(), &command).await?;
            let Some(generation) = generation.and_then(|bytes| bytes.try_into().ok()).map(u128::from_be_bytes) else {
                return self.begin_generation(link, scope).await;
            };
            let found = answer.and_then(|answer| decode(answer.into(), Generation(generation)));
            Some(found.map_or(Look::Missing(Generation(generation)), Look::Found))
        }
        .boxed()
    }

    fn fill<'a>(
        &'a self,
        scope: &'a Scope,
        query: &'a [u8],
        generation: Generation,
        rows: &'a [Bytes],
    ) -> BoxFuture<'a, ()> {
        async move {
            let Some(link) = self.link_to(scope) else { return };
            let mut command = redis::cmd("SET");
            command.arg(answer_key(scope, query)).arg(encode(generation, rows)).arg("EX").arg(CACHE_AGE_MAX.as_secs());
            // An answer that could not be kept is read from the store again.
            let _: Option<()> = self.ask(link, &command).await;
        }
        .boxed()
    }

    fn invalidate<'a>(&'a self, scope: &'a Scope) -> BoxFuture<'a, bool> {
        async move {
            let Some(link) = self.link_to(scope) else { return false };
            self.ask::<()>(link, &set_generation(scope, new_generation())).await.is_some()
        }
        .boxed()
    }
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    // A state is replaced as a whole, so a panic elsewhere does not spoil it.
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

fn new_generation() -> Generation {
    Generation(u128::from_be_bytes(Uuid::new().bytes()))
}

fn set_generation(scope: &Scope, generation: Generation) -> Cmd {
    let mut command = redis::cmd("SET");
    command.arg(generation_key(scope)).arg(&generation.0.to_be_bytes()[..]).arg("EX").arg(GENERATION_AGE_MAX.as_secs());
    command
}

fn generation_key(scope: &Scope) -> Vec<u8> {
    format!("majordomo\0{}\0{}\0generation", scope.tag, scope.namespace).into_bytes()
}

fn answer_key(scope: &Scope, query: &[u8]) -> Vec<u8> {
    let mut key = format!("majordomo\0{}\0{}\0answer\0", scope.tag, scope.namespace).into_bytes();
    key.extend(query);
    key
}

fn encode(generation: Generation, rows: &[Bytes]) -> Vec<u8> {
    let mut bytes = generation.0.to_be_bytes().to_vec();
    for row in rows {
        bytes.put_u32(u32::try_from(row.len()).unwrap_or(u32::MAX));
        bytes.extend(row);
    }
    bytes
}

/// The rows of an answer of this generation; `None` for another one, and for what nobody of us wrote.
fn decode(mut bytes: Bytes, generation: Generation) -> Option<Vec<Bytes>> {
    if bytes.try_get_u128().ok()? != generation.0 {
        return None;
    }
    let mut rows = Vec::new();
    while bytes.has_remaining() {
        let length = usize::try_from(bytes.try_get_u32().ok()?).ok()?;
        if length > bytes.len() {
            return None;
        }
        rows.push(bytes.split_to(length));
    }
    Some(rows)
}

/// How long making a connection may take. Nobody waits for it but the start of a worker.
const CONNECT_PATIENCE: Duration = Duration::from_secs(1);
/// How long a server that failed is left alone.
const RETRY_DELAY: Duration = Duration::from_millis(500);
/// How long the generation of a collection that nobody writes to is remembered. Forgetting it only loses answers.
const GENERATION_AGE_MAX: Duration = Duration::from_secs(24 * 60 * 60);

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn an_answer_is_read_back_as_it_was_kept(rows in vec(vec(any::<u8>(), 0..9), 0..5), generation: u128) {
            let rows: Vec<Bytes> = rows.into_iter().map(Bytes::from).collect();
            let bytes = Bytes::from(encode(Generation(generation), &rows));
            prop_assert_eq!(decode(bytes.clone(), Generation(generation)), Some(rows));
            prop_assert_eq!(decode(bytes, Generation(!generation)), None);
        }

        #[test]
        fn foreign_bytes_are_a_miss_and_never_a_panic(bytes in vec(any::<u8>(), 0..60)) {
            let generation = bytes.first_chunk().map_or(0, |head| u128::from_be_bytes(*head));
            let rows = decode(bytes.clone().into(), Generation(generation));
            prop_assert!(rows.is_none_or(|rows| encode(Generation(generation), &rows) == bytes));
        }
    }

    #[test]
    fn keys_of_different_collections_and_queries_differ() {
        let scope = |collection: &str| Scope {
            by: "redis:1".into(),
            tag: "t".into(),
            namespace: crate::store::Namespace::parse(b"db", collection.as_bytes()).unwrap(),
        };
        assert_ne!(answer_key(&scope("a"), b"b"), answer_key(&scope("ab"), b""));
        assert_ne!(generation_key(&scope("a")), generation_key(&scope("b")));
    }
}
