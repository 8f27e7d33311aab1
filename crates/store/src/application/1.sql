-- Whose file this is, and the sequence number of the last event whose changes are in it.
CREATE TABLE state (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    application TEXT NOT NULL,
    cursor INTEGER NOT NULL
) STRICT;

-- Slots are given out in ascending order, so that new rows go to the end of the table.
CREATE TABLE registration (
    slot INTEGER PRIMARY KEY,
    peripheral TEXT NOT NULL,
    gateway TEXT NOT NULL,
    number INTEGER NOT NULL,
    standing TEXT NOT NULL CHECK (standing IN ('pending', 'refused', 'member', 'replaced')),
    -- Group ids between spaces.
    groups TEXT,
    lease_seconds INTEGER,
    reason TEXT,
    sequence INTEGER,
    presence TEXT CHECK (presence IN ('active', 'standby', 'activating')),
    next_wake INTEGER,
    since INTEGER
) STRICT;

CREATE TABLE group_configuration (
    group_id TEXT PRIMARY KEY,
    since INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE approval (
    peripheral TEXT PRIMARY KEY,
    state TEXT NOT NULL CHECK (state IN ('waiting', 'approved', 'refused')),
    groups TEXT NOT NULL,
    gateway TEXT,
    since INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Answers that the platform has not acknowledged. Numbers are never given out twice.
CREATE TABLE answer (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    gateway TEXT NOT NULL,
    peripheral TEXT NOT NULL,
    registration INTEGER NOT NULL,
    groups TEXT,
    lease_seconds INTEGER,
    reason TEXT
) STRICT;
