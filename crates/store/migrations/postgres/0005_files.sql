-- Files of callers and media that models made. Their bytes lie in the media store, under `object`.

CREATE TABLE files (
  id              TEXT    NOT NULL PRIMARY KEY,
  organization_id TEXT    NOT NULL,
  project_id      TEXT    NOT NULL,
  -- Whose it is.
  key_id          TEXT    NOT NULL,
  purpose         TEXT    NOT NULL,
  filename        TEXT    NOT NULL,
  media_type      TEXT    NOT NULL,
  bytes           BIGINT  NOT NULL,
  object          TEXT    NOT NULL,
  -- uploading, ready or deleted: the row is there before the bytes and goes after them.
  status          TEXT    NOT NULL,
  created_at      BIGINT  NOT NULL,
  expires_at      BIGINT
);

CREATE INDEX files_by_key ON files (key_id, created_at, id);
CREATE INDEX files_by_end ON files (expires_at);
-- All bytes are summed whenever a file is completed.
CREATE INDEX files_by_size ON files (bytes);
