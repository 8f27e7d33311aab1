-- What becomes of peripherals that register while a group request lives.

ALTER TABLE request ADD COLUMN late_joiners TEXT NOT NULL DEFAULT 'exclude';
