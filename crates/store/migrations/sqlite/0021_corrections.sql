-- Corrections are part of the sums of what was spent, and those who count learn of them by their sequence.

ALTER TABLE adjustments ADD COLUMN sequence INTEGER NOT NULL DEFAULT 0;
-- Who answered the call, and the model in the provider's words.
ALTER TABLE adjustments ADD COLUMN provider TEXT;
ALTER TABLE adjustments ADD COLUMN model TEXT;
-- The replica that has counted it for all of them.
ALTER TABLE adjustments ADD COLUMN claimed_by TEXT;

UPDATE adjustments SET sequence = rowid;

UPDATE adjustments
SET
  provider = (SELECT provider FROM recorded_calls WHERE recorded_calls.request_id = adjustments.request_id LIMIT 1),
  model = (SELECT COALESCE(details ->> '$.attempts[#-1].model', details ->> '$.response_model', request_model) FROM recorded_calls WHERE recorded_calls.request_id = adjustments.request_id LIMIT 1);

CREATE INDEX adjustments_by_sequence ON adjustments (sequence);

INSERT INTO spend (
  span, starts_at, organization_id, project_id, application_id, user_id, key_id, provider, model,
  dollars, nano_dollars, calls
)
SELECT
  spans.span,
  CASE spans.span
    WHEN 'hour' THEN adjustments.started_at - adjustments.started_at % 3600000000
    ELSE unixepoch(adjustments.started_at / 1000000, 'unixepoch', 'start of month') * 1000000
  END AS starts_at,
  organization_id, project_id, COALESCE(application_id, ''), COALESCE(user_id, ''), key_id,
  COALESCE(provider, ''), model,
  SUM(amount_nano / 1000000000), SUM(amount_nano % 1000000000), 0
FROM adjustments, (SELECT 'hour' AS span UNION ALL SELECT 'month') AS spans
WHERE model IS NOT NULL AND amount_nano <> 0
GROUP BY 1, 2, 3, 4, 5, 6, 7, 8, 9
ON CONFLICT DO UPDATE SET
  dollars = spend.dollars + excluded.dollars,
  nano_dollars = spend.nano_dollars + excluded.nano_dollars;
