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
  cancelling_at   INTEGER,
  -- How many lines have ended, with an answer or an error.
  succeeded       INTEGER NOT NULL,
  failed          INTEGER NOT NULL,
  created_at      INTEGER NOT NULL,
  expires_at      INTEGER NOT NULL,
  -- JSON: what is neither searched for nor counted.
  details         TEXT    NOT NULL,
  -- The replica that works on it, and until when nobody else may.
  holder          TEXT,
  held_until      INTEGER NOT NULL
) STRICT;

CREATE INDEX batches_by_key ON batches (key_id, face, id);
CREATE INDEX batches_by_time ON batches (created_at);
CREATE INDEX batches_open ON batches (held_until, id) WHERE state IN ('validating', 'in_progress', 'finalizing');

CREATE TABLE batch_lines (
  batch_id        TEXT    NOT NULL,
  number          INTEGER NOT NULL,
  organization_id TEXT    NOT NULL,
  project_id      TEXT    NOT NULL,
  key_id          TEXT    NOT NULL,
  request_id      TEXT    NOT NULL,
  status          INTEGER NOT NULL,
  body            BLOB NOT NULL,
  PRIMARY KEY (batch_id, number)
) STRICT;
