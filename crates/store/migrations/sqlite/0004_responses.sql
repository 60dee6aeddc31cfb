-- Answers that callers may refer to later, with what was asked. An end of its own for each.

CREATE TABLE responses (
  id              TEXT    NOT NULL PRIMARY KEY,
  organization_id TEXT    NOT NULL,
  project_id      TEXT    NOT NULL,
  -- Whose it is.
  key_id          TEXT    NOT NULL,
  provider        TEXT    NOT NULL,
  -- Whether the provider keeps it as well: 0 or 1.
  is_at_provider  INTEGER NOT NULL,
  -- The answer that it continues.
  previous        TEXT,
  created_at      INTEGER NOT NULL,
  keep_until      INTEGER NOT NULL,
  input           BLOB    NOT NULL,
  answer          BLOB    NOT NULL
) STRICT;

CREATE INDEX responses_by_end ON responses (keep_until);
