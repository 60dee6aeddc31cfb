-- One row per call. `usage` and `attempts` are JSON; the columns beside them are what is filtered or summed.

CREATE TABLE calls (
  request_id             TEXT    NOT NULL PRIMARY KEY,
  organization_id        TEXT    NOT NULL,
  project_id             TEXT    NOT NULL,
  key_id                 TEXT    NOT NULL,
  client_request_id      TEXT,
  started_at             INTEGER NOT NULL,
  ended_at               INTEGER NOT NULL,
  state                  TEXT    NOT NULL,
  end_reason             TEXT,
  operation              TEXT    NOT NULL,
  face                   TEXT    NOT NULL,
  streamed               INTEGER NOT NULL,
  provider               TEXT,
  request_model          TEXT    NOT NULL,
  response_model         TEXT,
  route                  TEXT,
  status                 INTEGER,
  error_type             TEXT,
  finish_reason          TEXT,
  attempts               TEXT    NOT NULL,
  usage                  TEXT    NOT NULL,
  input_tokens           INTEGER NOT NULL,
  cached_input_tokens    INTEGER NOT NULL,
  output_tokens          INTEGER NOT NULL,
  cost_nano              INTEGER,
  price_source           TEXT,
  cache                  TEXT    NOT NULL,
  latency_ms             INTEGER NOT NULL,
  time_to_first_token_ms INTEGER,
  overhead_us            INTEGER NOT NULL
) STRICT;

CREATE INDEX calls_by_time ON calls (started_at, request_id);
-- Also answers what a key has spent without reading a row.
CREATE INDEX calls_by_key ON calls (key_id, started_at, cost_nano);
-- Most calls are settled; what needs attention is found among them without reading them.
CREATE INDEX calls_unsettled ON calls (state, started_at) WHERE state <> 'settled';
CREATE INDEX calls_by_client_request ON calls (client_request_id, started_at) WHERE client_request_id IS NOT NULL;
