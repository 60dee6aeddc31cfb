-- The batch that a call is a line of.

ALTER TABLE calls ADD COLUMN batch_id TEXT;

CREATE INDEX calls_by_batch ON calls (batch_id, started_at) WHERE batch_id IS NOT NULL;
