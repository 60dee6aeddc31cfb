-- Times are microseconds since 1970 in UTC, identifiers and words are text, lists are JSON.

CREATE TABLE virtual_keys (
  id              TEXT    NOT NULL PRIMARY KEY,
  organization_id TEXT    NOT NULL,
  project_id      TEXT    NOT NULL,
  name            TEXT    NOT NULL,
  role            TEXT    NOT NULL,
  hash            BYTEA   NOT NULL UNIQUE,
  previous_hash   BYTEA,
  previous_until  BIGINT,
  prefix          TEXT    NOT NULL,
  last_four       TEXT    NOT NULL,
  models          TEXT    NOT NULL,
  addresses       TEXT    NOT NULL,
  rpm             BIGINT,
  tpm             BIGINT,
  budget_nano     BIGINT,
  budget_per      TEXT,
  created_at      BIGINT  NOT NULL,
  rotated_at      BIGINT,
  expires_at      BIGINT,
  revoked_at      BIGINT,
  -- Rises by one with every change of any key, in the order in which the changes are committed.
  revision        BIGINT  NOT NULL UNIQUE
);

CREATE INDEX virtual_keys_by_time ON virtual_keys (created_at, id);
