-- A application file of layout 1, as it was after a small town had lived for a while.
BEGIN TRANSACTION;
CREATE TABLE answer (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    gateway TEXT NOT NULL,
    peripheral TEXT NOT NULL,
    registration INTEGER NOT NULL,
    groups TEXT,
    lease_seconds INTEGER,
    reason TEXT
) STRICT;
CREATE TABLE approval (
    peripheral TEXT PRIMARY KEY,
    state TEXT NOT NULL CHECK (state IN ('waiting', 'approved', 'refused')),
    groups TEXT NOT NULL,
    gateway TEXT,
    since INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE group_configuration (
    group_id TEXT PRIMARY KEY,
    since INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
INSERT INTO "group_configuration" VALUES('lamps',1795653970392);
INSERT INTO "group_configuration" VALUES('meters',1795653970394);
INSERT INTO "group_configuration" VALUES('mill-street',1795653970392);
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
INSERT INTO "registration" VALUES(1,'lamp-02','west',1,'member','lamps mill-street',NULL,NULL,1,'active',NULL,1795653970392);
INSERT INTO "registration" VALUES(2,'meter-02','west',2,'member','meters mill-street',NULL,NULL,2,'active',NULL,1795653970394);
INSERT INTO "registration" VALUES(3,'lamp-01','east',1,'member','lamps mill-street',NULL,NULL,3,'active',NULL,1795653970399);
INSERT INTO "registration" VALUES(5,'meter-01','east',3,'member','meters mill-street',NULL,NULL,5,'active',NULL,1795653970400);
INSERT INTO "registration" VALUES(6,'meter-03','east',4,'member','meters mill-street',NULL,NULL,6,'standby',1795654010658,1795653970400);
CREATE TABLE state (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    application TEXT NOT NULL,
    cursor INTEGER NOT NULL
) STRICT;
INSERT INTO "state" VALUES(1,'town',30);
DELETE FROM "sqlite_sequence";
INSERT INTO "sqlite_sequence" VALUES('answer',6);
COMMIT;
PRAGMA user_version = 1;
PRAGMA application_id = 1114988912;
