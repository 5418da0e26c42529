-- no-transaction
-- The order of ListProducts by name, without regard to case.
CREATE INDEX CONCURRENTLY products_by_name ON products ((lower(name) COLLATE "C"), id) WHERE archived_at IS NULL;
