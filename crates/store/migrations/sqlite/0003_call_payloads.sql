-- What was said in a call, apart from the call, with an end of its own.

CREATE TABLE call_payloads (
  request_id      TEXT    NOT NULL PRIMARY KEY,
  organization_id TEXT    NOT NULL,
  project_id      TEXT    NOT NULL,
  -- The time in the request's identifier.
  identified_at   INTEGER NOT NULL,
  keep_until      INTEGER NOT NULL,
  request         BLOB    NOT NULL,
  response        BLOB    NOT NULL
) STRICT;

CREATE INDEX call_payloads_by_end ON call_payloads (keep_until);
