-- The application and the user whom a key was made for; calls name those of the key that was shown.

ALTER TABLE virtual_keys ADD COLUMN application_id TEXT;
ALTER TABLE virtual_keys ADD COLUMN user_id TEXT;

ALTER TABLE calls ADD COLUMN application_id TEXT;
ALTER TABLE calls ADD COLUMN user_id TEXT;

CREATE INDEX calls_by_application ON calls (application_id, started_at) WHERE application_id IS NOT NULL;
CREATE INDEX calls_by_user ON calls (user_id, started_at) WHERE user_id IS NOT NULL;
-- An installation without further projects pays nothing for it: all of its calls are the default project's.
CREATE INDEX calls_by_project ON calls (project_id, started_at) WHERE project_id <> 'proj_00000000000000000000000000000001';
