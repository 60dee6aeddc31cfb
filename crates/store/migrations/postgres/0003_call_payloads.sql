-- What was said in a call, apart from the call, with an end of its own.

CREATE TABLE call_payloads (
  request_id      TEXT    NOT NULL,
  organization_id TEXT    NOT NULL,
  project_id      TEXT    NOT NULL,
  -- The time in the request's identifier: it follows from the identifier, so that the pair is as unique
  -- as the identifier and a look-up reads one partition.
  identified_at   BIGINT  NOT NULL,
  keep_until      BIGINT  NOT NULL,
  request         BYTEA   NOT NULL,
  response        BYTEA   NOT NULL,
  PRIMARY KEY (request_id, identified_at)
) PARTITION BY RANGE (identified_at);

CREATE INDEX call_payloads_by_end ON call_payloads (keep_until);

-- Takes what no month's partition takes, so that no row is ever refused.
CREATE TABLE call_payloads_other PARTITION OF call_payloads DEFAULT;
