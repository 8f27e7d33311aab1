-- What wakes a peripheral in standby; absent while its gateway has not told that.
ALTER TABLE peripheral ADD COLUMN wakes TEXT;
