-- Items and steps of an order no longer look for their order by a foreign key.
--
-- Each row that was added made a query of its own, and locked the row of its order: a twentieth of the time of an
-- order in PostgreSQL. What the keys kept stays true. Rows are made of the rows of their order, in the same statement
-- (functions/order), and here an order that has any stays. Functions may not delete orders at all.
-- All at once, in the order in which functions lock them, so that no call and this wait for each other.
LOCK TABLE orders, order_items, order_steps IN ACCESS EXCLUSIVE MODE;
-- contract: order_items_order_id_fkey unused since 0.1.0
ALTER TABLE order_items DROP CONSTRAINT order_items_order_id_fkey;
-- contract: order_steps_order_id_fkey unused since 0.1.0
ALTER TABLE order_steps DROP CONSTRAINT order_steps_order_id_fkey;

CREATE FUNCTION keep_order() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = '' AS $$
BEGIN
    IF EXISTS (SELECT FROM public.order_items WHERE order_id = OLD.id)
        OR EXISTS (SELECT FROM public.order_steps WHERE order_id = OLD.id) THEN
        RAISE foreign_key_violation USING
            MESSAGE = format('order %s has items or steps, so it cannot be deleted and keeps its id', OLD.id);
    END IF;
    RETURN CASE TG_OP WHEN 'DELETE' THEN OLD ELSE NEW END;
END $$;

CREATE TRIGGER orders_keep BEFORE DELETE OR UPDATE OF id ON orders
    FOR EACH ROW EXECUTE FUNCTION keep_order();
