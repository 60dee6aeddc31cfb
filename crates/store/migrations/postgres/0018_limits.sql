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
  most            BIGINT NOT NULL,
  per             TEXT,
  max_wait_ms     BIGINT,
  max_waiting     BIGINT,
  -- A JSON array of per cents.
  alerts          TEXT    NOT NULL,
  created_at      BIGINT NOT NULL
);

CREATE INDEX limits_by_time ON limits (created_at, id);

-- One row: how often the limits have changed.
CREATE TABLE limit_changes (
  revision BIGINT NOT NULL
);
INSERT INTO limit_changes (revision) VALUES (0);

CREATE TABLE events (
  id              TEXT    NOT NULL PRIMARY KEY,
  at              BIGINT NOT NULL,
  organization_id TEXT    NOT NULL,
  project_id      TEXT    NOT NULL,
  kind            TEXT    NOT NULL,
  -- Two events with one mark are one.
  mark            TEXT    NOT NULL UNIQUE,
  -- One JSON object.
  detail          TEXT    NOT NULL
);

CREATE INDEX events_by_time ON events (at, id);
