-- Whether another answer was put in the place of one that was kept before it was made, so that whoever still makes it
-- learns that nobody waits for it.

ALTER TABLE responses ADD COLUMN is_replaced INTEGER NOT NULL DEFAULT 0;
