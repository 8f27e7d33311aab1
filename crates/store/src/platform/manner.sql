-- How a group request goes: before which others, how fast, until how many failures, and what replaces it.
ALTER TABLE request ADD COLUMN priority TEXT NOT NULL DEFAULT 'normal';
ALTER TABLE request ADD COLUMN pacing TEXT NOT NULL DEFAULT '{}';
ALTER TABLE request ADD COLUMN abort TEXT;
ALTER TABLE request ADD COLUMN collapse_key TEXT;

-- Two more outcomes are counted.
UPDATE request SET totals = json_set(totals, '$.aborted', 0, '$.replaced', 0);
UPDATE event SET body = json_set(body, '$.totals.aborted', 0, '$.totals.replaced', 0)
    WHERE json_extract(body, '$.event') = 'request_completed';
