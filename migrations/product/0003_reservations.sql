-- What was reserved of each product, and for what: kept for ever, so that a call that is repeated
-- after any time still does nothing twice.
CREATE TABLE reservations (
    reservation_id uuid    NOT NULL,
    product_id     uuid    NOT NULL
        CONSTRAINT reservations_product_id_fkey REFERENCES products (id),
    -- Units; 0 for what was released before it was reserved, and so never can be.
    quantity       integer NOT NULL
        CONSTRAINT reservations_quantity_not_negative CHECK (quantity >= 0),
    -- The calls that took the units and gave them back, UUIDv7 each: by its own id a call knows
    -- that it was the first.
    reserved_by    uuid,
    released_by    uuid,
    CONSTRAINT reservations_pkey PRIMARY KEY (reservation_id, product_id),
    CONSTRAINT reservations_reserved_or_released CHECK (num_nonnulls(reserved_by, released_by) > 0),
    CONSTRAINT reservations_units_if_reserved CHECK ((quantity > 0) = (reserved_by IS NOT NULL))
);

GRANT SELECT, INSERT, UPDATE ON reservations TO zerocart_product;
