//! How shared state is asked.

use std::fmt;
use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::Poll;
use std::time::Duration;

use domain::clock::{Clock, Moment};
use domain::fleet::SharedStateError;
use redis::aio::{ConnectionManager, ConnectionManagerConfig};
use redis::io::tcp::TcpSettings;
use redis::io::tcp::socket2::TcpKeepalive;
use redis::{Client, Cmd, FromRedisValue, RedisError, RedisResult, Script};

use crate::location::Location;

/// How long a connection may take to be made, in the background.
const CONNECT: Duration = Duration::from_secs(2);
/// Longer than any bound that a question is given: what is asked gives up first.
const RESPONSE: Duration = Duration::from_secs(10);
/// For how long nobody asks again after a question stayed without an answer. It is what a call may wait for
/// at most once in this time, however many calls there are.
const REST: Duration = Duration::from_millis(500);
/// A server that is gone without a word is noticed after about this time.
const GONE: Duration = Duration::from_secs(5);

/// What the names of all keys of one installation begin with, so that several may share a server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Namespace(String);

impl Namespace {
    /// The namespace of the installation with this fingerprint, the same at every replica.
    pub fn new(fingerprint: u64) -> Self {
        Self(format!("trunkline:{fingerprint:016x}:"))
    }
}

/// A connection to shared state, which is made when it is first needed and made anew when it breaks. Cheap to
/// clone; clones share it, and know together whether it answers.
#[derive(Clone)]
pub struct Shared {
    connection: ConnectionManager,
    namespace: Arc<str>,
    clock: Arc<dyn Clock>,
    /// Milliseconds on the clock until which nobody asks; 0 when it answers.
    rests_until: Arc<AtomicU64>,
}

impl Shared {
    /// Prepares a connection to `location`. Nothing is asked yet, so it succeeds while the server is away. To
    /// be called in the runtime that it is to be used in: the library's own tasks run there.
    pub fn open(
        location: &Location,
        namespace: Namespace,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, SharedStateError> {
        let info = location
            .connection_info()
            .map_err(|error| SharedStateError::Failed(error.into()))?;
        let client =
            Client::open(info.set_tcp_settings(tcp_settings())).map_err(shared_state_error)?;
        let config = ConnectionManagerConfig::new()
            // Whether it is tried again is decided here, by `rests_until`.
            .set_number_of_retries(0)
            .set_connection_timeout(Some(CONNECT))
            .set_response_timeout(Some(RESPONSE));
        let connection =
            ConnectionManager::new_lazy_with_config(client, config).map_err(shared_state_error)?;
        Ok(Self {
            connection,
            namespace: namespace.0.into(),
            clock,
            rests_until: Arc::default(),
        })
    }

    /// The same connection for another purpose. Who waits for a few milliseconds only must not keep those from
    /// asking who can wait for longer, so each purpose finds out for itself whether it is answered.
    #[must_use]
    pub fn apart(&self) -> Self {
        Self {
            rests_until: Arc::default(),
            ..self.clone()
        }
    }

    /// Whether the last question was answered, or none was asked yet.
    pub fn answers(&self) -> bool {
        self.rests_until.load(Ordering::Relaxed) == 0
    }

    /// Asks whether anybody is there.
    pub async fn ping(&self, bound: Duration) -> Result<(), SharedStateError> {
        self.ask::<String>(&redis::cmd("PING"), bound).await?;
        Ok(())
    }

    /// Refuses a server that is part of a Redis Cluster: what is asked together lies on several servers there. One
    /// that cannot be asked within `bound` may be what it should be.
    pub async fn refuse_cluster(&self, bound: Duration) -> Result<(), Clustered> {
        let mut command = redis::cmd("INFO");
        command.arg("cluster");
        match self.apart().ask::<String>(&command, bound).await {
            Ok(told) if told.contains("cluster_enabled:1") => Err(Clustered),
            Ok(_) | Err(_) => Ok(()),
        }
    }

    /// The name of a key in the installation's namespace.
    pub(crate) fn key(&self, name: impl fmt::Display) -> String {
        format!("{}{name}", self.namespace)
    }

    /// The answer to one command within `bound`; at once [`SharedStateError::Unavailable`] while the server is
    /// known to be away.
    pub(crate) async fn ask<T: FromRedisValue>(
        &self,
        command: &Cmd,
        bound: Duration,
    ) -> Result<T, SharedStateError> {
        let mut connection = self.connection.clone();
        self.within(bound, command.query_async(&mut connection))
            .await
    }

    /// The answer of a script, which is sent as its hash, and in full where the server does not know it.
    pub(crate) async fn invoke<T: FromRedisValue>(
        &self,
        script: &Script,
        keys: &[String],
        arguments: &[String],
        bound: Duration,
    ) -> Result<T, SharedStateError> {
        let mut connection = self.connection.clone();
        let mut invocation = script.prepare_invoke();
        for key in keys {
            invocation.key(key);
        }
        for argument in arguments {
            invocation.arg(argument);
        }
        self.within(bound, invocation.invoke_async(&mut connection))
            .await
    }

    async fn within<T>(
        &self,
        bound: Duration,
        answer: impl Future<Output = RedisResult<T>>,
    ) -> Result<T, SharedStateError> {
        self.take_turn()?;
        let mut answer = pin!(answer);
        let answered = match tokio::time::timeout(bound, &mut answer).await {
            Ok(answered) => Some(answered),
            Err(_) => come_already(answer).await,
        };
        match answered {
            Some(Ok(answer)) => {
                self.answered();
                Ok(answer)
            }
            Some(Err(error)) => {
                let error = shared_state_error(error);
                match error {
                    SharedStateError::Unavailable(_) => self.rest(),
                    SharedStateError::Failed(_) => self.answered(),
                }
                Err(error)
            }
            None => {
                self.rest();
                Err(SharedStateError::Unavailable(Box::new(NoAnswer { bound })))
            }
        }
    }

    /// Goes on where the server answers. Where it did not, one question after every [`REST`] finds out
    /// whether it does again, and all others go on without it.
    fn take_turn(&self) -> Result<(), SharedStateError> {
        let until = self.rests_until.load(Ordering::Relaxed);
        if until == 0 {
            return Ok(());
        }
        let now = self.milliseconds();
        let is_my_turn = now >= until
            && self
                .rests_until
                .compare_exchange(
                    until,
                    now + as_milliseconds(REST),
                    Ordering::Relaxed,
                    Ordering::Relaxed,
                )
                .is_ok();
        if is_my_turn {
            Ok(())
        } else {
            Err(SharedStateError::Unavailable(Box::new(Resting)))
        }
    }

    fn answered(&self) {
        if !self.answers() {
            self.rests_until.store(0, Ordering::Relaxed);
        }
    }

    fn rest(&self) {
        let until = self.milliseconds() + as_milliseconds(REST);
        self.rests_until.store(until, Ordering::Relaxed);
    }

    /// Since the beginning of the clock, and never 0.
    fn milliseconds(&self) -> u64 {
        let since = self.clock.moment().since(Moment::at(Duration::ZERO));
        as_milliseconds(since) + 1
    }
}

/// The answer, if it has come. A process that was kept from running hears that its time is up before it has read
/// what came meanwhile: then the server is not away.
async fn come_already<T>(mut answer: Pin<&mut impl Future<Output = T>>) -> Option<T> {
    // The runtime looks for what has come, and the connection's own task hands it over.
    const TURNS: usize = 4;
    for _ in 0..TURNS {
        tokio::task::yield_now().await;
        let polled = poll_fn(|context| Poll::Ready(answer.as_mut().poll(context))).await;
        if let Poll::Ready(answer) = polled {
            return Some(answer);
        }
    }
    None
}

fn tcp_settings() -> TcpSettings {
    let keepalive = TcpKeepalive::new().with_time(GONE).with_interval(GONE);
    let settings = TcpSettings::default()
        .set_nodelay(true)
        .set_keepalive(keepalive);
    #[cfg(target_os = "linux")]
    let settings = settings.set_user_timeout(GONE);
    settings
}

/// The server is part of a cluster.
#[derive(Debug, Clone, Copy, thiserror::Error)]
#[error(
    "`shared` names a server of a Redis Cluster, which is not spoken: name one that is not (`cluster-enabled no`)"
)]
pub struct Clustered;

/// No answer came in time.
#[derive(Debug, thiserror::Error)]
#[error("no answer within {bound:?}")]
struct NoAnswer {
    bound: Duration,
}

/// It was not asked, since it did not answer a moment ago.
#[derive(Debug, thiserror::Error)]
#[error("it did not answer a moment ago, and is not asked again yet")]
struct Resting;

pub(crate) fn as_milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX / 2)
}

/// Says whether the server is away or has refused.
fn shared_state_error(error: RedisError) -> SharedStateError {
    if is_unavailable(&error) {
        SharedStateError::Unavailable(Box::new(error))
    } else {
        SharedStateError::Failed(Box::new(error))
    }
}

/// By the error's prefix (<https://valkey.io/topics/protocol/#simple-errors>): a server that loads its data, is
/// a replica of another, runs a long script, has lost its master or is full will answer later.
fn is_unavailable(error: &RedisError) -> bool {
    const LATER: [&str; 8] = [
        "LOADING",
        "READONLY",
        "BUSY",
        "MASTERDOWN",
        "TRYAGAIN",
        "CLUSTERDOWN",
        "NOREPLICAS",
        "OOM",
    ];
    let is_later = error.code().is_some_and(|code| LATER.contains(&code));
    is_later || error.is_io_error() || error.is_timeout() || error.is_connection_dropped()
}
