-- What the platform keeps. Numbers stand for ids, so that rows are small and written in order.
-- Enumerations are kept as the words that the API shows, sets and maps as JSON.

CREATE TABLE application (
    number INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    created_at INTEGER NOT NULL,
    event_last INTEGER NOT NULL DEFAULT 0,
    event_gone INTEGER NOT NULL DEFAULT 0
) STRICT;

CREATE TABLE gateway (
    number INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    created_at INTEGER NOT NULL,
    up_applied INTEGER NOT NULL DEFAULT 0,
    down_last INTEGER NOT NULL DEFAULT 0,
    down_acknowledged INTEGER NOT NULL DEFAULT 0,
    last_seen INTEGER,
    -- SHA-256 of the only certificate with which it may connect.
    certificate BLOB
) STRICT;

-- Tokens are random and long, so that a plain hash of them tells nothing.
CREATE TABLE enrollment (
    hash BLOB PRIMARY KEY,
    gateway INTEGER NOT NULL REFERENCES gateway (number),
    expires_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE token (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    hash BLOB NOT NULL UNIQUE,
    name TEXT NOT NULL,
    scopes TEXT NOT NULL,
    application INTEGER REFERENCES application (number),
    created_at INTEGER NOT NULL,
    expires_at INTEGER
) STRICT;

CREATE TABLE stranger (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    gateway INTEGER NOT NULL REFERENCES gateway (number),
    peripheral TEXT NOT NULL,
    protocol TEXT NOT NULL,
    address TEXT NOT NULL,
    at INTEGER NOT NULL,
    UNIQUE (gateway, peripheral)
) STRICT;

CREATE TABLE peripheral (
    number INTEGER PRIMARY KEY,
    gateway INTEGER NOT NULL REFERENCES gateway (number),
    id TEXT NOT NULL,
    application INTEGER NOT NULL REFERENCES application (number),
    groups TEXT NOT NULL,
    initial_state TEXT NOT NULL,
    labels TEXT NOT NULL,
    origin TEXT NOT NULL,
    -- As it is shown; follows from the columns after it.
    state TEXT NOT NULL,
    registration INTEGER,
    member_of TEXT NOT NULL,
    presence TEXT NOT NULL,
    since INTEGER NOT NULL,
    next_wake INTEGER,
    asked TEXT,
    decided INTEGER,
    roamed INTEGER,
    description TEXT,
    UNIQUE (gateway, id)
) STRICT;
CREATE INDEX peripheral_of_gateway ON peripheral (gateway);
CREATE INDEX peripheral_of_application ON peripheral (application);
CREATE INDEX peripheral_by_id ON peripheral (application, id, gateway);

CREATE TABLE "group" (
    number INTEGER PRIMARY KEY,
    application INTEGER NOT NULL REFERENCES application (number),
    id TEXT NOT NULL,
    UNIQUE (application, id)
) STRICT;

CREATE TABLE group_gateway (
    "group" INTEGER NOT NULL REFERENCES "group" (number),
    gateway INTEGER NOT NULL REFERENCES gateway (number),
    allocated INTEGER NOT NULL,
    members INTEGER NOT NULL,
    active INTEGER NOT NULL,
    PRIMARY KEY ("group", gateway)
) STRICT, WITHOUT ROWID;

CREATE TABLE place (
    "group" INTEGER NOT NULL REFERENCES "group" (number),
    peripheral INTEGER NOT NULL REFERENCES peripheral (number),
    is_allocated INTEGER NOT NULL,
    is_member INTEGER NOT NULL,
    PRIMARY KEY ("group", peripheral)
) STRICT, WITHOUT ROWID;
CREATE INDEX place_of_peripheral ON place (peripheral);

CREATE TABLE request (
    number INTEGER PRIMARY KEY,
    application INTEGER NOT NULL REFERENCES application (number),
    "group" TEXT NOT NULL,
    operation TEXT NOT NULL,
    activation TEXT NOT NULL,
    sleepers TEXT NOT NULL,
    receipt TEXT NOT NULL,
    accepted_at INTEGER NOT NULL,
    deadline INTEGER NOT NULL,
    state TEXT NOT NULL,
    completed_at INTEGER,
    gateways INTEGER NOT NULL,
    gateways_fixed INTEGER NOT NULL,
    totals TEXT NOT NULL
) STRICT;
CREATE INDEX request_of_application ON request (application);
CREATE INDEX request_by_deadline ON request (deadline) WHERE completed_at IS NULL;
CREATE INDEX request_by_end ON request (completed_at) WHERE completed_at IS NOT NULL;

CREATE TABLE request_gateway (
    request INTEGER NOT NULL REFERENCES request (number),
    gateway INTEGER NOT NULL REFERENCES gateway (number),
    is_fixed INTEGER NOT NULL,
    recorded_to TEXT,
    PRIMARY KEY (request, gateway)
) STRICT, WITHOUT ROWID;

CREATE TABLE member (
    request INTEGER NOT NULL,
    gateway INTEGER NOT NULL,
    peripheral TEXT NOT NULL,
    -- Absent while it waits. The detail is the whole outcome, where the kind does not tell all.
    kind TEXT,
    detail TEXT,
    at INTEGER,
    PRIMARY KEY (request, gateway, peripheral)
) STRICT, WITHOUT ROWID;

CREATE TABLE idempotency (
    application INTEGER NOT NULL REFERENCES application (number),
    key TEXT NOT NULL,
    request INTEGER NOT NULL,
    at INTEGER NOT NULL,
    PRIMARY KEY (application, key)
) STRICT, WITHOUT ROWID;
CREATE INDEX idempotency_by_age ON idempotency (at);

-- Log entries of all applications, and of all gateways: the upper bits of the key are the number of
-- whose log it is, the lower 40 the sequence.
CREATE TABLE event (
    key INTEGER PRIMARY KEY,
    body TEXT NOT NULL
) STRICT;

-- A group request is kept once, not in every log: its entry has `request` and no body.
CREATE TABLE down (
    key INTEGER PRIMARY KEY,
    request INTEGER,
    body BLOB
) STRICT;
