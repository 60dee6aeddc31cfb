//! Reasoning state that clients leave out: the statements of the custody port.

use async_trait::async_trait;
use domain::custody::{CustodyStore, FoundTurn, KeptTurn, Place};
use domain::id::KeyId;
use domain::store_error::StoreError;
use jiff::Timestamp;

use crate::database::{Store, execute, rows};
use crate::value::{Reader, microseconds, saturated};

#[async_trait]
impl CustodyStore for Store {
    async fn keep_turns(&self, turns: &[KeptTurn]) -> Result<(), StoreError> {
        if turns.is_empty() {
            return Ok(());
        }
        let mut transaction = self.database.begin().await?;
        for (place, turn) in in_order(turns) {
            let Some(holder) = turn.places.first() else {
                continue;
            };
            execute!(
                transaction.session(),
                "INSERT INTO reasoning_states (
                   place, turn, organization_id, project_id, key_id, provider, keep_until, sealed
                 )
                 VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
                 ON CONFLICT (place) DO UPDATE SET
                   turn = excluded.turn,
                   organization_id = excluded.organization_id,
                   project_id = excluded.project_id,
                   key_id = excluded.key_id,
                   provider = excluded.provider,
                   keep_until = excluded.keep_until,
                   sealed = excluded.sealed",
                place.to_string(),
                holder.to_string(),
                turn.organization_id.to_string(),
                turn.project_id.to_string(),
                turn.key_id.to_string(),
                turn.provider.as_str(),
                microseconds(turn.keep_until),
                (place == *holder).then_some(&*turn.sealed),
            )?;
        }
        transaction.commit().await
    }

    async fn turns(
        &self,
        places: &[Place],
        owner: KeyId,
        now: Timestamp,
        max_bytes: u64,
    ) -> Result<Vec<FoundTurn>, StoreError> {
        let asked: String = places.iter().map(Place::to_string).collect();
        let mut connection = self.database.read().await?;
        let found = rows!(
            connection.session(),
            TurnRow,
            "WITH RECURSIVE asked (reached, place) AS (
               SELECT 1, substr($1, 1, 64)
               UNION ALL
               SELECT reached + 64, substr($1, reached + 64, 64)
               FROM asked
               WHERE reached + 64 < length($1)
             )
             SELECT place, keep_until, sealed
             FROM (
               SELECT
                 place,
                 keep_until,
                 sealed,
                 SUM(length(sealed)) OVER (ORDER BY keep_until DESC, place) AS bytes
               FROM reasoning_states
               WHERE place IN (
                   SELECT turn
                   FROM reasoning_states
                   WHERE place IN (SELECT place FROM asked)
                 )
                 AND key_id = $2
                 AND keep_until > $3
                 AND sealed IS NOT NULL
             ) AS turns
             WHERE bytes <= $4
             ORDER BY keep_until DESC, place",
            &asked,
            owner.to_string(),
            microseconds(now),
            saturated(max_bytes),
        )?;
        found.into_iter().map(TurnRow::into_turn).collect()
    }

    async fn drop_expired_turns(&self, now: Timestamp, limit: u32) -> Result<u64, StoreError> {
        let mut transaction = self.database.begin().await?;
        let dropped = execute!(
            transaction.session(),
            "DELETE FROM reasoning_states
             WHERE place IN (
               SELECT place
               FROM reasoning_states
               WHERE keep_until <= $1
               ORDER BY keep_until
               LIMIT $2
             )",
            microseconds(now),
            i64::from(limit),
        )?;
        transaction.commit().await?;
        Ok(dropped)
    }
}

/// Every place with its turn, in one order, so that two replicas that keep turns at the same places wait
/// for each other instead of deadlocking. Of turns at one place the last comes last.
fn in_order(turns: &[KeptTurn]) -> Vec<(Place, &KeptTurn)> {
    let mut places: Vec<_> = turns
        .iter()
        .flat_map(|turn| turn.places.iter().map(move |place| (*place, turn)))
        .collect();
    places.sort_by_key(|(place, _)| *place);
    places
}

#[derive(sqlx::FromRow)]
struct TurnRow {
    place: String,
    keep_until: i64,
    sealed: Vec<u8>,
}

impl TurnRow {
    fn into_turn(self) -> Result<FoundTurn, StoreError> {
        let row = Reader {
            table: "reasoning_states",
            id: &self.place,
        };
        Ok(FoundTurn {
            keep_until: row.time("keep_until", self.keep_until)?,
            sealed: self.sealed.into(),
        })
    }
}
