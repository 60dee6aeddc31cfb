//! Which targets fail: one hash, with the time until which calls go elsewhere by the target's name.

use std::sync::LazyLock;
use std::time::Duration;

use async_trait::async_trait;
use domain::breaker::{BreakerTurn, SharedBreakers};
use domain::fleet::SharedStateError;
use redis::Script;

use crate::connection::Shared;

/// How long telling or hearing may take.
const BOUND: Duration = Duration::from_secs(1);
/// How long it is known of a breaker whose rest is over that nobody has closed it, in milliseconds.
const FORGOTTEN: &str = "600000";

/// Puts down until when each breaker rests, by the server's clock, and strikes out those that are closed. Two
/// that were told of the same target rest until the later time.
static TELL: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        "local time = redis.call('TIME')
         local now = time[1] * 1000 + math.floor(time[2] / 1000)
         for i = 1, #ARGV, 2 do
           if ARGV[i + 1] == '' then
             redis.call('HDEL', KEYS[1], ARGV[i])
           else
             local until_time = now + ARGV[i + 1]
             local known = redis.call('HGET', KEYS[1], ARGV[i])
             if not known or tonumber(known) < until_time then
               redis.call('HSET', KEYS[1], ARGV[i], string.format('%.0f', until_time))
             end
           end
         end
         return 1",
    )
});

/// Every breaker and how long it still rests; those that nobody closed for long are struck out.
static HEAR: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        "local time = redis.call('TIME')
         local now = time[1] * 1000 + math.floor(time[2] / 1000)
         local all = redis.call('HGETALL', KEYS[1])
         local open = {}
         for i = 1, #all, 2 do
           local rest = tonumber(all[i + 1]) - now
           if rest < -tonumber(ARGV[1]) then
             redis.call('HDEL', KEYS[1], all[i])
           else
             open[#open + 1] = all[i]
             open[#open + 1] = string.format('%.0f', math.max(rest, 0))
           end
         end
         return open",
    )
});

/// The breakers of the replicas that share state.
pub struct Breakers {
    shared: Shared,
}

impl Breakers {
    /// Breakers that are told and heard by this connection.
    pub fn new(shared: &Shared) -> Self {
        Self {
            shared: shared.apart(),
        }
    }

    fn key(&self) -> String {
        self.shared.key("breakers")
    }
}

#[async_trait]
impl SharedBreakers for Breakers {
    async fn tell(&self, turns: &[BreakerTurn]) -> Result<(), SharedStateError> {
        if turns.is_empty() {
            return Ok(());
        }
        let words = turns.iter().flat_map(|turn| {
            let rest = turn.rest.map(|rest| rest.as_millis().to_string());
            let name = format!("{}/{}", turn.provider, turn.model);
            [name, rest.unwrap_or_default()]
        });
        let words: Vec<String> = words.collect();
        let _done: i64 = self
            .shared
            .invoke(&TELL, &[self.key()], &words, BOUND)
            .await?;
        Ok(())
    }

    async fn hear(&self) -> Result<Vec<BreakerTurn>, SharedStateError> {
        let arguments = [FORGOTTEN.to_owned()];
        let words: Vec<String> = self
            .shared
            .invoke(&HEAR, &[self.key()], &arguments, BOUND)
            .await?;
        // What another version may have written and this one does not understand is passed over.
        let turns = words.chunks_exact(2).filter_map(|pair| {
            let [name, rest] = pair else { return None };
            let (provider, model) = name.split_once('/')?;
            Some(BreakerTurn {
                provider: provider.parse().ok()?,
                model: model.to_owned(),
                rest: Some(Duration::from_millis(rest.parse().ok()?)),
            })
        });
        Ok(turns.collect())
    }
}
