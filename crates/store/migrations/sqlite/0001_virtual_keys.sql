-- Times are microseconds since 1970 in UTC, identifiers and words are text, lists are JSON.

CREATE TABLE virtual_keys (
  id              TEXT    NOT NULL PRIMARY KEY,
  organization_id TEXT    NOT NULL,
  project_id      TEXT    NOT NULL,
  name            TEXT    NOT NULL,
  role            TEXT    NOT NULL,
  hash            BLOB    NOT NULL UNIQUE,
  previous_hash   BLOB,
  previous_until  INTEGER,
  prefix          TEXT    NOT NULL,
  last_four       TEXT    NOT NULL,
  models          TEXT    NOT NULL,
  addresses       TEXT    NOT NULL,
  rpm             INTEGER,
  tpm             INTEGER,
  budget_nano     INTEGER,
  budget_per      TEXT,
  created_at      INTEGER NOT NULL,
  rotated_at      INTEGER,
  expires_at      INTEGER,
  revoked_at      INTEGER,
  -- Rises by one with every change of any key, in the order in which the changes are committed.
  revision        INTEGER NOT NULL UNIQUE
) STRICT;

CREATE INDEX virtual_keys_by_time ON virtual_keys (created_at, id);
