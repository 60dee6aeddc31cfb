-- The processes that serve this installation: one row for each that said lately that it lives. They are the
-- installation's, and no tenant's.

CREATE TABLE replicas (
  id         TEXT    NOT NULL PRIMARY KEY,
  started_at BIGINT  NOT NULL,
  seen_at    BIGINT  NOT NULL,
  version    TEXT    NOT NULL,
  address    TEXT    NOT NULL,
  -- Whether it shares what limits count: 0 or 1.
  is_sharing BIGINT  NOT NULL
);
