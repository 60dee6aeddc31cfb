-- One row per call. `usage` and `attempts` are JSON; the columns beside them are what is filtered or summed.

CREATE TABLE calls (
  request_id             TEXT    NOT NULL,
  organization_id        TEXT    NOT NULL,
  project_id             TEXT    NOT NULL,
  key_id                 TEXT    NOT NULL,
  client_request_id      TEXT,
  started_at             BIGINT  NOT NULL,
  ended_at               BIGINT  NOT NULL,
  state                  TEXT    NOT NULL,
  end_reason             TEXT,
  operation              TEXT    NOT NULL,
  face                   TEXT    NOT NULL,
  streamed               BOOLEAN NOT NULL,
  provider               TEXT,
  request_model          TEXT    NOT NULL,
  response_model         TEXT,
  route                  TEXT,
  status                 BIGINT,
  error_type             TEXT,
  finish_reason          TEXT,
  attempts               TEXT    NOT NULL,
  usage                  TEXT    NOT NULL,
  input_tokens           BIGINT  NOT NULL,
  cached_input_tokens    BIGINT  NOT NULL,
  output_tokens          BIGINT  NOT NULL,
  cost_nano              BIGINT,
  price_source           TEXT,
  cache                  TEXT    NOT NULL,
  latency_ms             BIGINT  NOT NULL,
  time_to_first_token_ms BIGINT,
  overhead_us            BIGINT  NOT NULL,
  -- A call that is recorded twice has the same start, so the two together are as unique as the first.
  PRIMARY KEY (request_id, started_at)
) PARTITION BY RANGE (started_at);

CREATE INDEX calls_by_time ON calls (started_at, request_id);
-- Also answers what a key has spent without reading a row.
CREATE INDEX calls_by_key ON calls (key_id, started_at) INCLUDE (cost_nano);
-- Most calls are settled; what needs attention is found among them without reading them.
CREATE INDEX calls_unsettled ON calls (state, started_at) WHERE state <> 'settled';
CREATE INDEX calls_by_client_request ON calls (client_request_id, started_at) WHERE client_request_id IS NOT NULL;

-- Takes what no month's partition takes, so that no row is ever refused.
CREATE TABLE calls_other PARTITION OF calls DEFAULT;
