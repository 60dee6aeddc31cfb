-- What a call would have cost that the cache answered, in nano-dollars.

ALTER TABLE calls ADD COLUMN saved_nano BIGINT;
