-- The catalogue and its stock.
CREATE TABLE products (
    id          uuid           NOT NULL CONSTRAINT products_pkey PRIMARY KEY,
    name        text           NOT NULL,
    description text           NOT NULL,
    price       numeric(12, 2) NOT NULL
        CONSTRAINT products_price_not_negative CHECK (price >= 0),
    inventory   integer        NOT NULL
        CONSTRAINT products_inventory_not_negative CHECK (inventory >= 0),
    created_at  timestamptz    NOT NULL DEFAULT clock_timestamp()
);

-- The order of ListProducts, and where its page tokens point.
CREATE INDEX products_newest_first ON products (created_at DESC, id DESC);

GRANT SELECT, INSERT, UPDATE ON products TO zerocart_product;
