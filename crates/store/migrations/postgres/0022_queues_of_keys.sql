-- How many calls of a key may run at the same time, how they wait for room, and how much they count then.

ALTER TABLE virtual_keys ADD COLUMN concurrency BIGINT;
ALTER TABLE virtual_keys ADD COLUMN max_wait_ms BIGINT;
ALTER TABLE virtual_keys ADD COLUMN max_waiting BIGINT;
ALTER TABLE virtual_keys ADD COLUMN priority TEXT NOT NULL DEFAULT 'normal';
