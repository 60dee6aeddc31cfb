-- Sums of what calls cost, by the hour and by the month in which they started, written with the calls: what
-- counts against budgets after a start. The empty text stands for none.

CREATE TABLE spend (
  -- `hour` or `month`.
  span            TEXT   NOT NULL,
  starts_at       BIGINT NOT NULL,
  organization_id TEXT   NOT NULL,
  project_id      TEXT   NOT NULL,
  application_id  TEXT   NOT NULL,
  user_id         TEXT   NOT NULL,
  key_id          TEXT   NOT NULL,
  provider        TEXT   NOT NULL,
  -- In the provider's words.
  model           TEXT   NOT NULL,
  -- Whole dollars, and the rest: a sum of nano-dollars alone could leave the range of integers.
  dollars         BIGINT NOT NULL,
  nano_dollars    BIGINT NOT NULL,
  calls           BIGINT NOT NULL,
  PRIMARY KEY (span, starts_at, key_id, provider, model, organization_id, project_id, application_id, user_id)
);

INSERT INTO spend (
  span, starts_at, organization_id, project_id, application_id, user_id, key_id, provider, model,
  dollars, nano_dollars, calls
)
SELECT
  spans.span,
  CASE spans.span
    WHEN 'hour' THEN started_at - started_at % 3600000000
    ELSE CAST(EXTRACT(EPOCH FROM date_trunc('month', to_timestamp(started_at / 1000000) AT TIME ZONE 'UTC')) AS BIGINT)
      * 1000000
  END AS starts_at,
  organization_id, project_id, COALESCE(application_id, ''), COALESCE(user_id, ''), key_id,
  COALESCE(provider, ''),
  COALESCE(attempts::JSON -> -1 ->> 'model', response_model, request_model),
  SUM(cost_nano / 1000000000), SUM(cost_nano % 1000000000), COUNT(*)
FROM calls, (VALUES ('hour'), ('month')) AS spans (span)
WHERE cost_nano > 0
GROUP BY 1, 2, 3, 4, 5, 6, 7, 8, 9;
