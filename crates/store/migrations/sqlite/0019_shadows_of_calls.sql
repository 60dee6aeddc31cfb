-- The call that a call is a copy of.

DROP VIEW calls;

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
  details ->> '$.saved_nano' AS saved_nano,
  details ->> '$.variant' AS variant,
  details ->> '$.shadow_of' AS shadow_of
FROM recorded_calls;
