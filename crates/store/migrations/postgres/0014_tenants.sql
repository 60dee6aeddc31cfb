-- Organisations, projects, applications and users. The two that were always there have a row from now on.

CREATE TABLE tenants (
  id              TEXT    NOT NULL PRIMARY KEY,
  -- organization, project, application or user.
  kind            TEXT    NOT NULL,
  organization_id TEXT    NOT NULL,
  -- The project that it is, or belongs to; none of an organisation and a user.
  project_id      TEXT,
  name            TEXT    NOT NULL,
  -- JSON: what only one kind has.
  details         TEXT    NOT NULL,
  created_at      BIGINT  NOT NULL,
  archived_at     BIGINT ,
  -- Rises by one with every change of any tenant, in the order in which the changes are committed.
  revision        BIGINT  NOT NULL UNIQUE
);

CREATE INDEX tenants_by_kind ON tenants (kind, id);

INSERT INTO tenants (id, kind, organization_id, project_id, name, details, created_at, revision)
VALUES
  ('org_00000000000000000000000000000001', 'organization', 'org_00000000000000000000000000000001',
   NULL, 'default', '{}', 0, 1),
  ('proj_00000000000000000000000000000001', 'project', 'org_00000000000000000000000000000001',
   'proj_00000000000000000000000000000001', 'default', '{}', 0, 2);
