-- Answers that callers may refer to later, with what was asked. An end of its own for each.

CREATE TABLE responses (
  id              TEXT    NOT NULL PRIMARY KEY,
  organization_id TEXT    NOT NULL,
  project_id      TEXT    NOT NULL,
  -- Whose it is.
  key_id          TEXT    NOT NULL,
  provider        TEXT    NOT NULL,
  -- Whether the provider keeps it as well: 0 or 1.
  is_at_provider  BIGINT  NOT NULL,
  -- The answer that it continues.
  previous        TEXT,
  created_at      BIGINT  NOT NULL,
  keep_until      BIGINT  NOT NULL,
  input           BYTEA   NOT NULL,
  answer          BYTEA   NOT NULL
);

CREATE INDEX responses_by_end ON responses (keep_until);
