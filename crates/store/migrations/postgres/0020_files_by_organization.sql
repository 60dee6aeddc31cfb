-- The bytes of an organization's files are summed whenever one of them is completed.
CREATE INDEX files_by_organization ON files (organization_id, bytes);
