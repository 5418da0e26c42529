-- A product that is archived leaves the catalogue, and is kept for orders and admins.
ALTER TABLE products ADD COLUMN archived_at timestamptz;

-- The order of ListProducts, which shows the others.
DROP INDEX products_newest_first;
CREATE INDEX products_newest_first ON products (created_at DESC, id DESC) WHERE archived_at IS NULL;
