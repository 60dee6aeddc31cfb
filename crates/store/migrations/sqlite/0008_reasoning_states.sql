-- Reasoning state that clients leave out: one row for each tool call of a turn. An end of its own for each.

CREATE TABLE reasoning_states (
  place           TEXT    NOT NULL PRIMARY KEY,
  -- The place of the same turn that holds what is sealed.
  turn            TEXT    NOT NULL,
  organization_id TEXT    NOT NULL,
  project_id      TEXT    NOT NULL,
  -- Whose it is.
  key_id          TEXT    NOT NULL,
  -- The account that made it.
  provider        TEXT    NOT NULL,
  keep_until      INTEGER NOT NULL,
  -- Encrypted; empty at the other places of the turn.
  sealed          BLOB
) STRICT;

CREATE INDEX reasoning_states_by_end ON reasoning_states (keep_until);
