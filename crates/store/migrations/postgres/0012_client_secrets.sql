-- Secrets that open realtime sessions for a while, on behalf of a key. An end of its own for each.

CREATE TABLE client_secrets (
  -- Recognises the text, which is kept nowhere.
  hash            BYTEA NOT NULL PRIMARY KEY,
  organization_id TEXT NOT NULL,
  project_id      TEXT NOT NULL,
  -- The key that it was made with.
  key_id          TEXT NOT NULL,
  created_at      BIGINT NOT NULL,
  expires_at      BIGINT NOT NULL,
  -- What its sessions begin with, JSON.
  session         BYTEA NOT NULL
);

CREATE INDEX client_secrets_by_end ON client_secrets (expires_at);
CREATE INDEX client_secrets_by_key ON client_secrets (key_id, expires_at);
