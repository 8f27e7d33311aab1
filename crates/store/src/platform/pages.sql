-- Members of group requests lie by the page: in ascending order of their ids, one in each line, whose fields
-- have tabs between and are
--
--     id  stage  at_gateway  asleep  activating  sent  kind  at  detail
--
-- Those at the end are left out. The kind is absent while a member waits. The detail is the whole outcome, where the
-- kind does not tell all. The pages of a request at one gateway do not overlap.

CREATE TABLE member_page (
    number INTEGER PRIMARY KEY,
    request INTEGER NOT NULL,
    gateway INTEGER NOT NULL,
    -- The id of the last of them.
    last TEXT NOT NULL,
    members TEXT NOT NULL
) STRICT;

-- Those that are there have a page each, until they are forgotten: so many are brought over without holding them.
INSERT INTO member_page (request, gateway, last, members)
SELECT request, gateway, peripheral, rtrim(concat(peripheral, char(9), stage, char(9), at_gateway, char(9), asleep,
    char(9), activating, char(9), sent, char(9), kind, char(9), at, char(9), iif(kind IS NULL, NULL, detail)), char(9))
FROM member;

CREATE UNIQUE INDEX member_page_by_last ON member_page (request, gateway, last);
DROP TABLE member;
