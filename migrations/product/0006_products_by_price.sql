-- no-transaction
-- The order of ListProducts by price, in both directions.
CREATE INDEX CONCURRENTLY products_by_price ON products (price, id) WHERE archived_at IS NULL;
