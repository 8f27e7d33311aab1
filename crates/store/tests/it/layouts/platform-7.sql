-- A platform file of layout 7, as the one of layout 6 became.
BEGIN TRANSACTION;
CREATE TABLE application (
    number INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    created_at INTEGER NOT NULL,
    event_last INTEGER NOT NULL DEFAULT 0,
    event_gone INTEGER NOT NULL DEFAULT 0
) STRICT;
INSERT INTO "application" VALUES(1,'town',1795653969865,30,0);
CREATE TABLE down (
    key INTEGER PRIMARY KEY,
    request INTEGER,
    body BLOB
) STRICT;
CREATE TABLE enrollment (
    hash BLOB PRIMARY KEY,
    gateway INTEGER NOT NULL REFERENCES gateway (number),
    expires_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE event (
    key INTEGER PRIMARY KEY,
    body TEXT NOT NULL
) STRICT;
INSERT INTO "event" VALUES(1099511627777,'{"event":"registration_asked","gateway":"west","peripheral":"lamp-02","registration":1,"groups":["lamps","mill-street"],"evidence":{"attested":true,"password":"x74CSzxloepNjiIrk67Z6TVMEF0D_YgkjMD0vnUtpV4"},"description":{"protocol":"mqtt5","address":"127.0.0.1:33556","lifetime":3600}}');
INSERT INTO "event" VALUES(1099511627778,'{"event":"registration_asked","gateway":"west","peripheral":"meter-02","registration":2,"groups":["meters","mill-street"],"evidence":{"attested":true,"password":"Qq1Hy0ExwDqqmgX0lXnok2bxO_qmT_DhX7-8TksNXKM"},"description":{"protocol":"mqtt311","address":"127.0.0.1:33566","lifetime":604800}}');
INSERT INTO "event" VALUES(1099511627779,'{"event":"registration_asked","gateway":"east","peripheral":"lamp-01","registration":1,"groups":["lamps","mill-street"],"evidence":{"attested":true,"password":"7hI_t9hcftqs2ri0g8JLyzKW3Skx4S9_vvqo3TGj4-g"},"description":{"protocol":"mqtt5","address":"127.0.0.1:40304","lifetime":3600}}');
INSERT INTO "event" VALUES(1099511627780,'{"event":"registration_asked","gateway":"east","peripheral":"lamp-03","registration":2,"groups":["lamps","mill-street"],"evidence":{"attested":true,"password":"59Mts_v6Pl5Ra7Xk-6pOO4sjSDpxlHRu_whM3C7Wggc"},"description":{"protocol":"mqtt5","address":"127.0.0.1:40306","lifetime":3600}}');
INSERT INTO "event" VALUES(1099511627781,'{"event":"registration_asked","gateway":"east","peripheral":"meter-01","registration":3,"groups":["meters","mill-street"],"evidence":{"attested":true,"password":"EWcQJMIRyQMwdbCUnH62AJY0ThLDTViE7EfADL3umh0"},"description":{"protocol":"mqtt311","address":"127.0.0.1:40308","lifetime":604800}}');
INSERT INTO "event" VALUES(1099511627782,'{"event":"registration_asked","gateway":"east","peripheral":"meter-03","registration":4,"groups":["meters","mill-street"],"evidence":{"attested":true,"password":"56pPA8vpFWmDWMaGhMWlF_13vH_CM_0jWfN9Ojze7VM"},"description":{"protocol":"mqtt311","address":"127.0.0.1:40318","lifetime":604800}}');
INSERT INTO "event" VALUES(1099511627783,'{"event":"presence_changed","gateway":"west","peripheral":"lamp-02","registration":1,"groups":["lamps","mill-street"],"state":"active","at":1795653970402}');
INSERT INTO "event" VALUES(1099511627784,'{"event":"presence_changed","gateway":"west","peripheral":"meter-02","registration":2,"groups":["meters","mill-street"],"state":"active","at":1795653970415}');
INSERT INTO "event" VALUES(1099511627785,'{"event":"presence_changed","gateway":"east","peripheral":"lamp-01","registration":1,"groups":["lamps","mill-street"],"state":"active","at":1795653970415}');
INSERT INTO "event" VALUES(1099511627786,'{"event":"presence_changed","gateway":"east","peripheral":"lamp-03","registration":2,"groups":["lamps","mill-street"],"state":"active","at":1795653970415}');
INSERT INTO "event" VALUES(1099511627787,'{"event":"presence_changed","gateway":"east","peripheral":"meter-01","registration":3,"groups":["meters","mill-street"],"state":"active","at":1795653970415}');
INSERT INTO "event" VALUES(1099511627788,'{"event":"presence_changed","gateway":"east","peripheral":"meter-03","registration":4,"groups":["meters","mill-street"],"state":"active","at":1795653970415}');
INSERT INTO "event" VALUES(1099511627789,'{"event":"presence_changed","gateway":"west","peripheral":"meter-02","registration":2,"groups":["meters","mill-street"],"state":"standby","next_wake":1795653974659,"at":1795653970659}');
INSERT INTO "event" VALUES(1099511627790,'{"event":"presence_changed","gateway":"east","peripheral":"meter-03","registration":4,"groups":["meters","mill-street"],"state":"standby","next_wake":1795654010658,"at":1795653970658}');
INSERT INTO "event" VALUES(1099511627791,'{"event":"presence_changed","gateway":"east","peripheral":"meter-01","registration":3,"groups":["meters","mill-street"],"state":"standby","next_wake":1795653973659,"at":1795653970659}');
INSERT INTO "event" VALUES(1099511627792,'{"event":"request_accepted","request":"1M8AN2AV5NTMQ","group":"mill-street"}');
INSERT INTO "event" VALUES(1099511627793,'{"event":"members_fixed","request":"1M8AN2AV5NTMQ","gateway":"west","members":2}');
INSERT INTO "event" VALUES(1099511627794,'{"event":"presence_changed","gateway":"west","peripheral":"meter-02","registration":2,"groups":["meters","mill-street"],"state":"activating","at":1795653970807}');
INSERT INTO "event" VALUES(1099511627795,'{"event":"members_fixed","request":"1M8AN2AV5NTMQ","gateway":"east","members":4}');
INSERT INTO "event" VALUES(1099511627796,'{"event":"presence_changed","gateway":"east","peripheral":"meter-01","registration":3,"groups":["meters","mill-street"],"state":"activating","at":1795653970807}');
INSERT INTO "event" VALUES(1099511627797,'{"event":"receipts","request":"1M8AN2AV5NTMQ","gateway":"east","receipts":[{"peripheral":"lamp-01","outcome":"executed","answer":{"content_type":"text/plain","text":"100"},"at":1795653970885}]}');
INSERT INTO "event" VALUES(1099511627798,'{"event":"receipts","request":"1M8AN2AV5NTMQ","gateway":"west","receipts":[{"peripheral":"lamp-02","outcome":"executed","answer":{"content_type":"text/plain","text":"100"},"at":1795653970895}]}');
INSERT INTO "event" VALUES(1099511627799,'{"event":"receipts","request":"1M8AN2AV5NTMQ","gateway":"east","receipts":[{"peripheral":"lamp-03","outcome":"executed","answer":{"content_type":"text/plain","text":"100"},"at":1795653970903}]}');
INSERT INTO "event" VALUES(1099511627800,'{"event":"presence_changed","gateway":"east","peripheral":"meter-01","registration":3,"groups":["meters","mill-street"],"state":"active","at":1795653973683}');
INSERT INTO "event" VALUES(1099511627801,'{"event":"receipts","request":"1M8AN2AV5NTMQ","gateway":"east","receipts":[{"peripheral":"meter-01","outcome":"executed","answer":{"text":"100"},"at":1795653973773}]}');
INSERT INTO "event" VALUES(1099511627802,'{"event":"presence_changed","gateway":"west","peripheral":"meter-02","registration":2,"groups":["meters","mill-street"],"state":"active","at":1795653974667}');
INSERT INTO "event" VALUES(1099511627803,'{"event":"receipts","request":"1M8AN2AV5NTMQ","gateway":"west","receipts":[{"peripheral":"meter-02","outcome":"executed","answer":{"text":"100"},"at":1795653974761}]}');
INSERT INTO "event" VALUES(1099511627804,'{"event":"receipts","request":"1M8AN2AV5NTMQ","gateway":"east","receipts":[{"peripheral":"meter-03","outcome":"expired","cause":"asleep","at":1795653978793}]}');
INSERT INTO "event" VALUES(1099511627805,'{"event":"request_completed","request":"1M8AN2AV5NTMQ","totals":{"members":6,"executed":5,"delivered":0,"refused":0,"failed":0,"expired":1,"skipped":0,"left":0,"cancelled":0,"aborted":0,"replaced":0}}');
INSERT INTO "event" VALUES(1099511627806,'{"event":"deregistered","gateway":"east","peripheral":"lamp-03","registration":2,"groups":["lamps","mill-street"],"cause":"peripheral","at":1795653978866}');
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
INSERT INTO "gateway" VALUES(1,'east',1795653969979,23,5,5,1795653978988,X'239FF06C4135BE5F9297D1C5C486BF6CD3EDA6171D47544A3634B944264E18DE');
INSERT INTO "gateway" VALUES(2,'west',1795653970111,12,3,3,1795653978988,X'A6A932F58265A30301290A1BCA9F7002AE8AA93C949654FE0F5D90F1D32268A8');
CREATE TABLE "group" (
    number INTEGER PRIMARY KEY,
    application INTEGER NOT NULL REFERENCES application (number),
    id TEXT NOT NULL,
    UNIQUE (application, id)
) STRICT;
INSERT INTO "group" VALUES(1,1,'lamps');
INSERT INTO "group" VALUES(2,1,'mill-street');
INSERT INTO "group" VALUES(3,1,'meters');
CREATE TABLE group_gateway (
    "group" INTEGER NOT NULL REFERENCES "group" (number),
    gateway INTEGER NOT NULL REFERENCES gateway (number),
    allocated INTEGER NOT NULL,
    members INTEGER NOT NULL,
    active INTEGER NOT NULL,
    PRIMARY KEY ("group", gateway)
) STRICT, WITHOUT ROWID;
INSERT INTO "group_gateway" VALUES(1,1,2,1,1);
INSERT INTO "group_gateway" VALUES(1,2,1,1,1);
INSERT INTO "group_gateway" VALUES(2,1,4,3,2);
INSERT INTO "group_gateway" VALUES(2,2,2,2,2);
INSERT INTO "group_gateway" VALUES(3,1,2,2,1);
INSERT INTO "group_gateway" VALUES(3,2,1,1,1);
CREATE TABLE idempotency (
    application INTEGER NOT NULL REFERENCES application (number),
    key TEXT NOT NULL,
    request INTEGER NOT NULL,
    at INTEGER NOT NULL,
    PRIMARY KEY (application, key)
) STRICT, WITHOUT ROWID;
CREATE TABLE member_page (
    number INTEGER PRIMARY KEY,
    request INTEGER NOT NULL,
    gateway INTEGER NOT NULL,
    -- The id of the last of them.
    last TEXT NOT NULL,
    members TEXT NOT NULL
) STRICT;
INSERT INTO "member_page" VALUES(1,1882879658074761879,1,'lamp-01','lamp-01	at_gateway					executed	1795653970885	{"outcome":"executed","answer":{"content_type":"text/plain","text":"100"}}');
INSERT INTO "member_page" VALUES(2,1882879658074761879,1,'lamp-03','lamp-03	at_gateway					executed	1795653970903	{"outcome":"executed","answer":{"content_type":"text/plain","text":"100"}}');
INSERT INTO "member_page" VALUES(3,1882879658074761879,1,'meter-01','meter-01	at_gateway					executed	1795653973773	{"outcome":"executed","answer":{"text":"100"}}');
INSERT INTO "member_page" VALUES(4,1882879658074761879,1,'meter-03','meter-03	at_gateway					expired	1795653978793	{"outcome":"expired","cause":"asleep"}');
INSERT INTO "member_page" VALUES(5,1882879658074761879,2,'lamp-02','lamp-02	at_gateway					executed	1795653970895	{"outcome":"executed","answer":{"content_type":"text/plain","text":"100"}}');
INSERT INTO "member_page" VALUES(6,1882879658074761879,2,'meter-02','meter-02	at_gateway					executed	1795653974761	{"outcome":"executed","answer":{"text":"100"}}');
CREATE TABLE nesting (
    outer_group INTEGER NOT NULL REFERENCES "group" (number),
    inner_group INTEGER NOT NULL REFERENCES "group" (number),
    PRIMARY KEY (outer_group, inner_group)
) STRICT, WITHOUT ROWID;
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
    description TEXT, wakes TEXT,
    UNIQUE (gateway, id)
) STRICT;
INSERT INTO "peripheral" VALUES(1,1,'lamp-01',1,'["lamps","mill-street"]','allocated','{}','file','active',1,'["lamps","mill-street"]','active',1795653970415,NULL,NULL,NULL,NULL,'{"protocol":"mqtt5","address":"127.0.0.1:40304","lifetime":3600}',NULL);
INSERT INTO "peripheral" VALUES(2,1,'lamp-03',1,'["lamps","mill-street"]','allocated','{}','file','allocated',NULL,'[]','active',1795653978866,NULL,NULL,NULL,NULL,'{"protocol":"mqtt5","address":"127.0.0.1:40306","lifetime":3600}',NULL);
INSERT INTO "peripheral" VALUES(3,1,'meter-01',1,'["meters","mill-street"]','allocated','{}','file','active',3,'["meters","mill-street"]','active',1795653973683,NULL,NULL,NULL,NULL,'{"protocol":"mqtt311","address":"127.0.0.1:40308","lifetime":604800}',NULL);
INSERT INTO "peripheral" VALUES(4,1,'meter-03',1,'["meters","mill-street"]','allocated','{}','file','standby',4,'["meters","mill-street"]','standby',1795653970658,1795654010658,NULL,NULL,NULL,'{"protocol":"mqtt311","address":"127.0.0.1:40318","lifetime":604800}',NULL);
INSERT INTO "peripheral" VALUES(5,2,'lamp-02',1,'["lamps","mill-street"]','allocated','{}','file','active',1,'["lamps","mill-street"]','active',1795653970402,NULL,NULL,NULL,NULL,'{"protocol":"mqtt5","address":"127.0.0.1:33556","lifetime":3600}',NULL);
INSERT INTO "peripheral" VALUES(6,2,'meter-02',1,'["meters","mill-street"]','allocated','{}','file','active',2,'["meters","mill-street"]','active',1795653974667,NULL,NULL,NULL,NULL,'{"protocol":"mqtt311","address":"127.0.0.1:33566","lifetime":604800}',NULL);
CREATE TABLE place (
    "group" INTEGER NOT NULL REFERENCES "group" (number),
    peripheral INTEGER NOT NULL REFERENCES peripheral (number),
    is_allocated INTEGER NOT NULL,
    is_member INTEGER NOT NULL,
    PRIMARY KEY ("group", peripheral)
) STRICT, WITHOUT ROWID;
INSERT INTO "place" VALUES(1,1,1,1);
INSERT INTO "place" VALUES(1,2,1,0);
INSERT INTO "place" VALUES(1,5,1,1);
INSERT INTO "place" VALUES(2,1,1,1);
INSERT INTO "place" VALUES(2,2,1,0);
INSERT INTO "place" VALUES(2,3,1,1);
INSERT INTO "place" VALUES(2,4,1,1);
INSERT INTO "place" VALUES(2,5,1,1);
INSERT INTO "place" VALUES(2,6,1,1);
INSERT INTO "place" VALUES(3,3,1,1);
INSERT INTO "place" VALUES(3,4,1,1);
INSERT INTO "place" VALUES(3,6,1,1);
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
, stages TEXT NOT NULL DEFAULT '{}', schedule TEXT, late_joiners TEXT NOT NULL DEFAULT 'exclude', contained TEXT NOT NULL DEFAULT '[]', priority TEXT NOT NULL DEFAULT 'normal', pacing TEXT NOT NULL DEFAULT '{}', abort TEXT, collapse_key TEXT) STRICT;
INSERT INTO "request" VALUES(1882879658074761879,1,'mill-street','{"do":"read","path":"/3/0/9"}','50%','queue','executed',1795653970789,1795653978789,'complete',1795653978810,2,2,'{"members":6,"executed":5,"delivered":0,"refused":0,"failed":0,"expired":1,"skipped":0,"left":0,"cancelled":0,"aborted":0,"replaced":0}','{}',NULL,'exclude','[]','normal','{}',NULL,NULL);
CREATE TABLE request_gateway (
    request INTEGER NOT NULL REFERENCES request (number),
    gateway INTEGER NOT NULL REFERENCES gateway (number),
    is_fixed INTEGER NOT NULL,
    recorded_to TEXT,
    PRIMARY KEY (request, gateway)
) STRICT, WITHOUT ROWID;
INSERT INTO "request_gateway" VALUES(1882879658074761879,1,1,NULL);
INSERT INTO "request_gateway" VALUES(1882879658074761879,2,1,NULL);
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
CREATE TABLE stranger (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    gateway INTEGER NOT NULL REFERENCES gateway (number),
    peripheral TEXT NOT NULL,
    protocol TEXT NOT NULL,
    address TEXT NOT NULL,
    at INTEGER NOT NULL,
    UNIQUE (gateway, peripheral)
) STRICT;
INSERT INTO "stranger" VALUES(1,1,'stranger','mqtt5','127.0.0.1:40330',1795653970529);
CREATE TABLE token (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    hash BLOB NOT NULL UNIQUE,
    name TEXT NOT NULL,
    scopes TEXT NOT NULL,
    application INTEGER REFERENCES application (number),
    created_at INTEGER NOT NULL,
    expires_at INTEGER
) STRICT;
INSERT INTO "token" VALUES(1,X'638A16552520C44888976CA3558D5995067E442ED865244D7F38BD4D89BC9338','operator','["operator"]',NULL,1795653969845,NULL);
INSERT INTO "token" VALUES(2,X'7C486A4F19675C7B92633ACBC4A0C9DD700392BD0F6387EE6ACCCE66FD24CCBC','application town','["registrations:decide","events:read"]',1,1795653969867,NULL);
CREATE INDEX peripheral_of_gateway ON peripheral (gateway);
CREATE INDEX peripheral_of_application ON peripheral (application);
CREATE INDEX peripheral_by_id ON peripheral (application, id, gateway);
CREATE INDEX place_of_peripheral ON place (peripheral);
CREATE INDEX request_of_application ON request (application);
CREATE INDEX request_by_deadline ON request (deadline) WHERE completed_at IS NULL;
CREATE INDEX request_by_end ON request (completed_at) WHERE completed_at IS NOT NULL;
CREATE INDEX idempotency_by_age ON idempotency (at);
CREATE INDEX schedule_by_due ON schedule (next_due) WHERE next_due IS NOT NULL;
CREATE INDEX nesting_by_inner ON nesting (inner_group);
CREATE UNIQUE INDEX member_page_by_last ON member_page (request, gateway, last);
DELETE FROM "sqlite_sequence";
INSERT INTO "sqlite_sequence" VALUES('token',2);
INSERT INTO "sqlite_sequence" VALUES('stranger',1);
COMMIT;
PRAGMA user_version = 7;
PRAGMA application_id = 1114990416;
