-- What calls' costs are corrected by: a call costs what its row says and the sum of its adjustments.

CREATE TABLE adjustments (
  request_id       TEXT    NOT NULL,
  -- Counted from 1 for each call.
  number           BIGINT  NOT NULL,
  organization_id  TEXT    NOT NULL,
  project_id       TEXT    NOT NULL,
  application_id   TEXT,
  user_id          TEXT,
  key_id           TEXT    NOT NULL,
  -- The call's, so that a correction counts where the call counts.
  started_at       BIGINT  NOT NULL,
  amount_nano      BIGINT  NOT NULL,
  reason           TEXT    NOT NULL,
  old_price_source TEXT,
  new_price_source TEXT,
  made_at          BIGINT  NOT NULL,
  made_by          TEXT    NOT NULL,
  PRIMARY KEY (request_id, number)
);

CREATE INDEX adjustments_by_time ON adjustments (started_at, request_id, number);
