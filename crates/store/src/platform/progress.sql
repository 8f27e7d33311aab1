-- Where members of group requests are on the way to their outcomes, and when they were seen where.

ALTER TABLE member ADD COLUMN stage TEXT NOT NULL DEFAULT 'at_gateway';
ALTER TABLE member ADD COLUMN at_gateway INTEGER;
ALTER TABLE member ADD COLUMN asleep INTEGER;
ALTER TABLE member ADD COLUMN activating INTEGER;
ALTER TABLE member ADD COLUMN sent INTEGER;

ALTER TABLE request ADD COLUMN stages TEXT NOT NULL DEFAULT '{}';
UPDATE request SET stages = json_object('at_gateway', (
    SELECT count(*) FROM member WHERE member.request = request.number AND kind IS NULL
)) WHERE completed_at IS NULL;
