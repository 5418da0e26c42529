-- A new order is not recorded again before it ends, if it comes on quickly. Meanwhile its lease is here: it may be
-- charged, which functions of the version before do not expect of a step `reserving`. They see a lease of the year
-- 9999, and leave the order to functions of this version.
ALTER TABLE orders ADD COLUMN open_until timestamptz;
