-- The call that a call is a copy of.

ALTER TABLE calls ADD COLUMN shadow_of TEXT;
