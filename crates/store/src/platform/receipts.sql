-- The receipts of an event lie beside its body, which then has none: as the link writes them, as hardly anybody reads
-- them.

ALTER TABLE event ADD COLUMN receipts BLOB;
