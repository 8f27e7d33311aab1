-- Who the members of a group request are: those that register while it lives too, if it says so, and those of
-- the groups that lay in its group when it was accepted.

ALTER TABLE request ADD COLUMN late_joiners TEXT NOT NULL DEFAULT 'exclude';
ALTER TABLE request ADD COLUMN contained TEXT NOT NULL DEFAULT '[]';

CREATE TABLE nesting (
    outer_group INTEGER NOT NULL REFERENCES "group" (number),
    inner_group INTEGER NOT NULL REFERENCES "group" (number),
    PRIMARY KEY (outer_group, inner_group)
) STRICT, WITHOUT ROWID;
CREATE INDEX nesting_by_inner ON nesting (inner_group);
