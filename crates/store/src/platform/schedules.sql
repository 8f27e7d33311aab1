-- Group requests that are to come.

CREATE TABLE schedule (
    application INTEGER NOT NULL REFERENCES application (number),
    id TEXT NOT NULL,
    -- What is asked, and of whom, as JSON.
    submitted TEXT NOT NULL,
    not_before INTEGER,
    cron TEXT,
    time_zone TEXT,
    created_at INTEGER NOT NULL,
    -- Absent when it is over.
    next_due INTEGER,
    -- What became of its last due time, as JSON.
    last TEXT,
    PRIMARY KEY (application, id)
) STRICT, WITHOUT ROWID;
CREATE INDEX schedule_by_due ON schedule (next_due) WHERE next_due IS NOT NULL;

ALTER TABLE request ADD COLUMN schedule TEXT;
