-- Limits that were made through the API or the command line, and what operators want to hear of.

CREATE TABLE limits (
  id              TEXT    NOT NULL PRIMARY KEY,
  organization_id TEXT    NOT NULL,
  project_id      TEXT    NOT NULL,
  name            TEXT    NOT NULL,
  -- A JSON object of the parts that say something.
  scope           TEXT    NOT NULL,
  -- `requests`, `tokens`, `concurrency` or `usd`.
  measure         TEXT    NOT NULL,
  -- Requests, tokens, calls, or nano-dollars.
  most            INTEGER NOT NULL,
  per             TEXT,
  max_wait_ms     INTEGER,
  max_waiting     INTEGER,
  -- A JSON array of per cents.
  alerts          TEXT    NOT NULL,
  created_at      INTEGER NOT NULL
) STRICT;

CREATE INDEX limits_by_time ON limits (created_at, id);

-- One row: how often the limits have changed.
CREATE TABLE limit_changes (
  revision INTEGER NOT NULL
) STRICT;
INSERT INTO limit_changes (revision) VALUES (0);

CREATE TABLE events (
  id              TEXT    NOT NULL PRIMARY KEY,
  at              INTEGER NOT NULL,
  organization_id TEXT    NOT NULL,
  project_id      TEXT    NOT NULL,
  kind            TEXT    NOT NULL,
  -- Two events with one mark are one.
  mark            TEXT    NOT NULL UNIQUE,
  -- One JSON object.
  detail          TEXT    NOT NULL
) STRICT;

CREATE INDEX events_by_time ON events (at, id);
