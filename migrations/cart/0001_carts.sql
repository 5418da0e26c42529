-- The cart of each user who ever added something. Whoever changes a cart locks its row here first,
-- so that a cart's lines, too, are changed by one at a time.
CREATE TABLE carts (
    user_id    uuid        NOT NULL CONSTRAINT carts_pkey PRIMARY KEY,
    updated_at timestamptz NOT NULL
);

CREATE TABLE cart_items (
    user_id    uuid           NOT NULL
        CONSTRAINT cart_items_user_id_fkey REFERENCES carts (user_id),
    product_id uuid           NOT NULL,
    -- Counts up: the order in which products were first added, whatever the clock does.
    position   bigint         NOT NULL GENERATED ALWAYS AS IDENTITY,
    -- The product's name and price when it was last added.
    name       text           NOT NULL,
    price      numeric(12, 2) NOT NULL
        CONSTRAINT cart_items_price_not_negative CHECK (price >= 0),
    quantity   integer        NOT NULL
        CONSTRAINT cart_items_quantity_in_range CHECK (quantity BETWEEN 1 AND 10000),
    CONSTRAINT cart_items_pkey PRIMARY KEY (user_id, product_id)
);

-- The orders whose purchase was taken out of the cart: kept for ever, so that it is done once. The
-- user is in the key, so that nobody can spoil the order of another.
CREATE TABLE cart_clearances (
    user_id    uuid        NOT NULL,
    order_id   uuid        NOT NULL,
    cleared_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT cart_clearances_pkey PRIMARY KEY (user_id, order_id)
);

GRANT SELECT, INSERT, UPDATE ON carts TO zerocart_cart;
GRANT SELECT, INSERT, UPDATE, DELETE ON cart_items TO zerocart_cart;
GRANT SELECT, INSERT ON cart_clearances TO zerocart_cart;
