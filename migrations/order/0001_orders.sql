-- The orders, each with the state of the saga that makes it.
CREATE TABLE orders (
    id               uuid           NOT NULL CONSTRAINT orders_pkey PRIMARY KEY,
    user_id          uuid           NOT NULL,
    payment_method   text           NOT NULL,
    total            numeric(15, 2) NOT NULL
        CONSTRAINT orders_total_not_negative CHECK (total >= 0),
    status           text           NOT NULL CONSTRAINT orders_status CHECK (status IN
        ('PENDING', 'PROCESSING', 'PAID', 'SHIPPED', 'DELIVERED', 'CANCELLED', 'FAILED')),
    -- Why it is, or will be, FAILED or CANCELLED: for programs, and for people.
    cause            text           CONSTRAINT orders_cause CHECK (cause IN
        ('refused', 'declined', 'unavailable', 'interrupted', 'cancelled')),
    reason           text           NOT NULL DEFAULT '',
    payment_id       uuid,
    created_at       timestamptz    NOT NULL DEFAULT clock_timestamp(),
    updated_at       timestamptz    NOT NULL DEFAULT clock_timestamp(),
    -- When it was PAID, whatever became of it later.
    paid_at          timestamptz,

    -- The saga. `step` is recorded before it is begun; `place` is the line that is reserved, or the
    -- number of lines that are still to be released.
    step             text           NOT NULL CONSTRAINT orders_step CHECK (step IN
        ('reserving', 'charging', 'clearing', 'refunding', 'releasing', 'ended')),
    place            integer        NOT NULL DEFAULT 0
        CONSTRAINT orders_place_not_negative CHECK (place >= 0),
    -- Whether a charge may have been asked for.
    asked            boolean        NOT NULL DEFAULT false,
    -- How many steps were recorded.
    steps            integer        NOT NULL DEFAULT 0,
    -- Whoever knows the fence drives the order; each new driver raises it. Until `lease_until`
    -- nobody takes over.
    fence            bigint         NOT NULL DEFAULT 1,
    lease_until      timestamptz    NOT NULL,
    -- How often drivers had to give up since the last step that was done.
    tries            integer        NOT NULL DEFAULT 0,
    -- An admin asks the driver to call it off; under which idempotency key, if under one.
    cancel_asked     boolean        NOT NULL DEFAULT false,
    cancel_key       bytea,

    CONSTRAINT orders_charging_is_processing CHECK (step <> 'charging' OR status = 'PROCESSING'),
    CONSTRAINT orders_ended_is_final CHECK (step <> 'ended'
        OR status IN ('PAID', 'SHIPPED', 'DELIVERED', 'CANCELLED', 'FAILED')),
    CONSTRAINT orders_undone_has_a_cause CHECK ((cause IS NOT NULL)
        = (step IN ('refunding', 'releasing') OR status IN ('CANCELLED', 'FAILED')))
);

-- A cart is bought once: until what one order bought is out of the cart, its user has no other.
CREATE UNIQUE INDEX orders_one_at_a_time ON orders (user_id)
    WHERE step IN ('reserving', 'charging', 'clearing');

-- The order of ListUserOrders.
CREATE INDEX orders_newest_first ON orders (user_id, created_at DESC, id DESC);

-- What recover-orders looks for.
CREATE INDEX orders_unfinished ON orders (lease_until) WHERE step <> 'ended';

-- What was ordered, in the order of product ids, in which stock is reserved.
CREATE TABLE order_items (
    order_id   uuid           NOT NULL
        CONSTRAINT order_items_order_id_fkey REFERENCES orders,
    line       integer        NOT NULL,
    product_id uuid           NOT NULL,
    name       text           NOT NULL,
    price      numeric(12, 2) NOT NULL
        CONSTRAINT order_items_price_not_negative CHECK (price >= 0),
    quantity   integer        NOT NULL
        CONSTRAINT order_items_quantity_positive CHECK (quantity > 0),
    CONSTRAINT order_items_pkey PRIMARY KEY (order_id, line),
    CONSTRAINT order_items_one_line_a_product UNIQUE (order_id, product_id)
);

-- What was done for an order: each step when it was begun, and when and how it ended.
CREATE TABLE order_steps (
    order_id uuid        NOT NULL
        CONSTRAINT order_steps_order_id_fkey REFERENCES orders,
    number   integer     NOT NULL,
    step     text        NOT NULL,
    -- The driver that began it.
    fence    bigint      NOT NULL,
    began_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    ended_at timestamptz,
    outcome  text,
    CONSTRAINT order_steps_pkey PRIMARY KEY (order_id, number),
    CONSTRAINT order_steps_ended_with_an_outcome CHECK ((ended_at IS NULL) = (outcome IS NULL))
);

GRANT SELECT, INSERT, UPDATE ON orders, order_items, order_steps TO zerocart_order;
