-- What the target is called in a comparison that a call was meant for.

ALTER TABLE calls ADD COLUMN variant TEXT;
