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

INSERT INTO member_page (request, gateway, last, members)
SELECT request, gateway, max(peripheral), group_concat(line, char(10) ORDER BY peripheral)
FROM (
    SELECT request, gateway, peripheral,
        (row_number() OVER (PARTITION BY request, gateway ORDER BY peripheral) - 1) / 24 AS page,
        rtrim(concat(peripheral, char(9), stage, char(9), at_gateway, char(9), asleep, char(9), activating, char(9),
            sent, char(9), kind, char(9), at, char(9), iif(kind IS NULL, NULL, detail)), char(9)) AS line
    FROM member
)
GROUP BY request, gateway, page;

CREATE UNIQUE INDEX member_page_by_last ON member_page (request, gateway, last);
DROP TABLE member;
