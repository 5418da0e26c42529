-- An order that is CANCELLED is told to be so, whoever asks and under which key. Instances of the
-- version before still write the column: it goes with a later version.
COMMENT ON COLUMN orders.cancel_key IS 'not used any more';
