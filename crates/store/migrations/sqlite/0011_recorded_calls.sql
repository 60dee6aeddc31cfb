-- A call's row as it is written: what is filtered or summed has a column, and the rest is one JSON object, since
-- every column of every row costs time. `calls` is what it was, for whoever reads.

CREATE TABLE recorded_calls (
  request_id        TEXT    NOT NULL PRIMARY KEY,
  organization_id   TEXT    NOT NULL,
  project_id        TEXT    NOT NULL,
  key_id            TEXT    NOT NULL,
  application_id    TEXT,
  user_id           TEXT,
  client_request_id TEXT,
  batch_id          TEXT,
  started_at        INTEGER NOT NULL,
  state             TEXT    NOT NULL,
  provider          TEXT,
  request_model     TEXT    NOT NULL,
  cost_nano         INTEGER,
  details           TEXT    NOT NULL
) STRICT;

INSERT INTO recorded_calls (
  request_id, organization_id, project_id, key_id, application_id, user_id, client_request_id, batch_id,
  started_at, state, provider, request_model, cost_nano, details
)
SELECT
  request_id, organization_id, project_id, key_id, application_id, user_id, client_request_id, batch_id,
  started_at, state, provider, request_model, cost_nano,
  json_object(
    'ended_at', ended_at, 'end_reason', end_reason, 'operation', operation, 'face', face,
    'streamed', json(iif(streamed, 'true', 'false')), 'response_model', response_model, 'route', route,
    'status', status, 'error_type', error_type, 'finish_reason', finish_reason, 'attempts', json(attempts),
    'usage', json(usage), 'price_source', price_source, 'cache', cache, 'latency_ms', latency_ms,
    'time_to_first_token_ms', time_to_first_token_ms, 'overhead_us', overhead_us, 'saved_nano', saved_nano
  )
FROM calls
ORDER BY rowid;

DROP TABLE calls;

CREATE INDEX calls_by_time ON recorded_calls (started_at, request_id);
-- Also answers what a key has spent without reading a row.
CREATE INDEX calls_by_key ON recorded_calls (key_id, started_at, cost_nano);
-- Most calls are settled; what needs attention is found among them without reading them.
CREATE INDEX calls_unsettled ON recorded_calls (state, started_at) WHERE state <> 'settled';
CREATE INDEX calls_by_client_request ON recorded_calls (client_request_id, started_at) WHERE client_request_id IS NOT NULL;
CREATE INDEX calls_by_batch ON recorded_calls (batch_id, started_at) WHERE batch_id IS NOT NULL;
CREATE INDEX calls_by_application ON recorded_calls (application_id, started_at) WHERE application_id IS NOT NULL;
CREATE INDEX calls_by_user ON recorded_calls (user_id, started_at) WHERE user_id IS NOT NULL;
-- An installation without further projects pays nothing for it: all of its calls are the default project's.
CREATE INDEX calls_by_project ON recorded_calls (project_id, started_at) WHERE project_id <> 'proj_00000000000000000000000000000001';

CREATE VIEW calls AS
SELECT
  request_id, organization_id, project_id, key_id, application_id, user_id, client_request_id, batch_id,
  started_at, state, provider, request_model, cost_nano,
  details ->> '$.ended_at' AS ended_at,
  details ->> '$.end_reason' AS end_reason,
  details ->> '$.operation' AS operation,
  details ->> '$.face' AS face,
  details ->> '$.streamed' AS streamed,
  details ->> '$.response_model' AS response_model,
  details ->> '$.route' AS route,
  details ->> '$.status' AS status,
  details ->> '$.error_type' AS error_type,
  details ->> '$.finish_reason' AS finish_reason,
  details -> '$.attempts' AS attempts,
  details -> '$.usage' AS usage,
  coalesce(CAST(details ->> '$.usage.input_tokens' AS INTEGER), 0) AS input_tokens,
  coalesce(CAST(details ->> '$.usage.cached_input_tokens' AS INTEGER), 0) AS cached_input_tokens,
  coalesce(CAST(details ->> '$.usage.output_tokens' AS INTEGER), 0) AS output_tokens,
  details ->> '$.price_source' AS price_source,
  details ->> '$.cache' AS cache,
  details ->> '$.latency_ms' AS latency_ms,
  details ->> '$.time_to_first_token_ms' AS time_to_first_token_ms,
  details ->> '$.overhead_us' AS overhead_us,
  details ->> '$.saved_nano' AS saved_nano
FROM recorded_calls;
