-- The number of products in the catalogue, so that ListProducts need not count them.
--
-- The number is the sum of a few rows. A transaction adds its difference to a row that nobody else has
-- locked, or to a new one. So no writer waits for another, and there are about as many rows as transactions
-- that ever committed at the same moment. A reader sees the number and the products in one snapshot.

-- First of all: nobody writes while the products are counted below.
LOCK TABLE products IN SHARE ROW EXCLUSIVE MODE;

CREATE TABLE product_counts (
    slot     integer GENERATED ALWAYS AS IDENTITY CONSTRAINT product_counts_pkey PRIMARY KEY,
    -- May be negative: only the sum is a number of products.
    products bigint  NOT NULL
);

INSERT INTO product_counts (products) SELECT count(*) FROM products WHERE archived_at IS NULL;

-- Functions read the number. Only the triggers write it, as the owner.
GRANT SELECT ON product_counts TO zerocart_product;

-- Adds up the difference that this transaction makes, in a setting that ends with it and that a
-- savepoint takes back. One UPDATE of product_counts for each row would be slow: each finds all the versions
-- of the row that its transaction has made before.
CREATE FUNCTION note_product() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    noted  bigint  := coalesce(nullif(current_setting('zerocart.products', true), ''), '0')::bigint;
    change integer := 0;
BEGIN
    IF TG_OP <> 'INSERT' AND OLD.archived_at IS NULL THEN
        change := change - 1;
    END IF;
    IF TG_OP <> 'DELETE' AND NEW.archived_at IS NULL THEN
        change := change + 1;
    END IF;
    PERFORM set_config('zerocart.products', (noted + change)::text, true);
    RETURN NULL;
END $$;

-- Writes the difference, once, when the transaction commits: a row is locked only for as long as that takes.
CREATE FUNCTION count_products() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = '' AS $$
DECLARE
    noted bigint := coalesce(nullif(current_setting('zerocart.products', true), ''), '0')::bigint;
BEGIN
    IF noted <> 0 THEN
        UPDATE public.product_counts SET products = products + noted WHERE slot =
            (SELECT slot FROM public.product_counts LIMIT 1 FOR UPDATE SKIP LOCKED);
        IF NOT FOUND THEN
            INSERT INTO public.product_counts (products) VALUES (noted);
        END IF;
        PERFORM set_config('zerocart.products', '0', true);
    END IF;
    RETURN NULL;
END $$;

CREATE FUNCTION count_no_products() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = '' AS $$
BEGIN
    -- TRUNCATE is refused while a row's trigger waits for the commit: nothing is noted.
    UPDATE public.product_counts SET products = 0;
    RETURN NULL;
END $$;

-- A change of stock names no archived_at, and so pays nothing for these. Triggers of one event run in the
-- order of their names: if constraints are set to IMMEDIATE, too, a difference is noted before it is written.
CREATE TRIGGER products_note_added_or_removed AFTER INSERT OR DELETE ON products
    FOR EACH ROW EXECUTE FUNCTION note_product();
CREATE TRIGGER products_note_archived AFTER UPDATE OF archived_at ON products
    FOR EACH ROW WHEN ((OLD.archived_at IS NULL) <> (NEW.archived_at IS NULL))
    EXECUTE FUNCTION note_product();
CREATE CONSTRAINT TRIGGER products_write_count AFTER INSERT OR DELETE OR UPDATE OF archived_at ON products
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION count_products();
CREATE TRIGGER products_truncated AFTER TRUNCATE ON products
    FOR EACH STATEMENT EXECUTE FUNCTION count_no_products();
