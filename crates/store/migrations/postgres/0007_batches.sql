-- Batches, and their lines that have ended until the files of results are written.

CREATE TABLE batches (
  id              TEXT    NOT NULL PRIMARY KEY,
  organization_id TEXT    NOT NULL,
  project_id      TEXT    NOT NULL,
  -- Whose it is, and with which its lines are asked.
  key_id          TEXT    NOT NULL,
  -- openai or anthropic.
  face            TEXT    NOT NULL,
  state           TEXT    NOT NULL,
  -- Written by whoever wants it to end, never by who works on it.
  cancelling_at   BIGINT,
  -- How many lines have ended, with an answer or an error.
  succeeded       BIGINT NOT NULL,
  failed          BIGINT NOT NULL,
  created_at      BIGINT NOT NULL,
  expires_at      BIGINT NOT NULL,
  -- JSON: what is neither searched for nor counted.
  details         TEXT    NOT NULL,
  -- The replica that works on it, and until when nobody else may.
  holder          TEXT,
  held_until      BIGINT NOT NULL
);

CREATE INDEX batches_by_key ON batches (key_id, face, id);
CREATE INDEX batches_by_time ON batches (created_at);
CREATE INDEX batches_open ON batches (held_until, id) WHERE state IN ('validating', 'in_progress', 'finalizing');

CREATE TABLE batch_lines (
  batch_id        TEXT    NOT NULL,
  number          BIGINT NOT NULL,
  organization_id TEXT    NOT NULL,
  project_id      TEXT    NOT NULL,
  key_id          TEXT    NOT NULL,
  request_id      TEXT    NOT NULL,
  status          BIGINT NOT NULL,
  body            BYTEA NOT NULL,
  PRIMARY KEY (batch_id, number)
);
