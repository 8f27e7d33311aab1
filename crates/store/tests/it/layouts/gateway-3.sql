-- A gateway file of layout 3, as the one of layout 2 became.
BEGIN TRANSACTION;
CREATE TABLE allocation (
            slot INTEGER PRIMARY KEY,
            body TEXT NOT NULL,
            origin TEXT NOT NULL,
            is_blocked INTEGER NOT NULL
        ) STRICT;
INSERT INTO "allocation" VALUES(0,'{"peripheral":"lamp-01","application":"town","groups":["lamps","mill-street"],"initial_state":"allocated","credential":{"password":{"verifier":"pbkdf2-sha256$u2pqYo7J-_FSVx-AVW10Q1lXOIYA0HV__Rsa5_CiaEM"}},"waker":"window"}','"file"',0);
INSERT INTO "allocation" VALUES(1,'{"peripheral":"lamp-03","application":"town","groups":["lamps","mill-street"],"initial_state":"allocated","credential":{"password":{"verifier":"pbkdf2-sha256$8FQ-XahN5-iSqoEb3k9KqXYH9U5-xiKktOcwov41qPg"}},"waker":"window"}','"file"',0);
INSERT INTO "allocation" VALUES(2,'{"peripheral":"meter-01","application":"town","groups":["meters","mill-street"],"initial_state":"allocated","credential":{"password":{"verifier":"pbkdf2-sha256$QV8m60w1n_LZ4rpEAFisPlPTdalxyxYK8ds_88NEXu8"}},"waker":"window"}','"file"',0);
INSERT INTO "allocation" VALUES(3,'{"peripheral":"meter-03","application":"town","groups":["meters","mill-street"],"initial_state":"allocated","credential":{"password":{"verifier":"pbkdf2-sha256$n2wR-8NAl7qpMpuMyukyQCinpVeJ11kFg0w0TMs3qPE"}},"waker":"window"}','"file"',0);
CREATE TABLE ask (slot INTEGER PRIMARY KEY, registration INTEGER NOT NULL) STRICT;
CREATE TABLE mark (
            only INTEGER PRIMARY KEY CHECK (only = 0),
            registrations_reserved INTEGER NOT NULL DEFAULT 0,
            up_acknowledged INTEGER NOT NULL DEFAULT 0,
            down_applied INTEGER NOT NULL DEFAULT 0
        ) STRICT;
INSERT INTO "mark" VALUES(0,1001,23,5);
CREATE TABLE observed (slot INTEGER PRIMARY KEY, paths TEXT NOT NULL) STRICT;
INSERT INTO "observed" VALUES(0,'["/3303/0/5700"]');
CREATE TABLE registration (
            slot INTEGER PRIMARY KEY,
            id INTEGER NOT NULL,
            groups TEXT NOT NULL,
            lifetime INTEGER NOT NULL,
            lease_until INTEGER NOT NULL,
            presented BLOB NOT NULL,
            presence TEXT NOT NULL,
            next_wake INTEGER,
            last_word INTEGER NOT NULL
        ) STRICT;
INSERT INTO "registration" VALUES(0,1,'["lamps","mill-street"]',3600000,1795740370415,X'FB63FCB19E58F0FBF308A63C955D7F3D','active',NULL,1795653970415);
INSERT INTO "registration" VALUES(2,3,'["meters","mill-street"]',604800000,1795740370415,X'3F20772D8F98B3E46291372B985A969B','active',NULL,1795653973683);
INSERT INTO "registration" VALUES(3,4,'["meters","mill-street"]',604800000,1795740370415,X'4A86661037F51020F1011C3A68F14112','standby',1795654010658,1795653970658);
CREATE TABLE request (
            taken INTEGER PRIMARY KEY,
            id INTEGER NOT NULL UNIQUE,
            body BLOB NOT NULL,
            members BLOB NOT NULL,
            is_cancelled INTEGER NOT NULL DEFAULT 0
        ) STRICT;
CREATE TABLE session (slot INTEGER PRIMARY KEY, state BLOB NOT NULL) STRICT;
INSERT INTO "session" VALUES(0,X'7B22657870697279223A333630302C226772616365223A34353030302C2273756273637269626564223A747275652C227265636569766564223A5B5D7D');
INSERT INTO "session" VALUES(2,X'7B22657870697279223A3630343830302C226772616365223A34353030302C2273756273637269626564223A747275652C227265636569766564223A5B5D7D');
INSERT INTO "session" VALUES(3,X'7B22657870697279223A3630343830302C226772616365223A34353030302C2273756273637269626564223A747275652C227265636569766564223A5B5D7D');
CREATE TABLE settlement (
            number INTEGER PRIMARY KEY,
            request INTEGER NOT NULL,
            slots BLOB NOT NULL
        , met TEXT, member BLOB) STRICT;
CREATE TABLE up (
            sequence INTEGER PRIMARY KEY,
            is_report INTEGER NOT NULL,
            entry BLOB NOT NULL
        ) STRICT;
CREATE INDEX settlement_of_request ON settlement (request);
COMMIT;
PRAGMA user_version = 3;
PRAGMA application_id = 1114990423;
