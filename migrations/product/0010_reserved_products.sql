-- A reservation no longer locks its product's row by a foreign key.
--
-- The key took a lock (FOR KEY SHARE) at the end of each reservation. When another transaction had locked the row
-- and was about to update it, PostgreSQL made that one wait again for a row that it had already, behind one that
-- waited for it: a deadlock, which ended after a second.
--
-- What the key kept stays true. A reservation is made of rows of products (functions/product), and here a product
-- that is reserved stays. Functions may not delete products at all.
-- contract: reservations_product_id_fkey unused since 0.1.0
ALTER TABLE reservations DROP CONSTRAINT reservations_product_id_fkey;

CREATE FUNCTION keep_reserved_product() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = '' AS $$
BEGIN
    IF EXISTS (SELECT FROM public.reservations WHERE product_id = OLD.id) THEN
        RAISE foreign_key_violation USING
            MESSAGE = format('product %s has reservations, so it cannot be deleted and keeps its id', OLD.id);
    END IF;
    RETURN CASE TG_OP WHEN 'DELETE' THEN OLD ELSE NEW END;
END $$;

CREATE TRIGGER products_keep_reserved BEFORE DELETE OR UPDATE OF id ON products
    FOR EACH ROW EXECUTE FUNCTION keep_reserved_product();
