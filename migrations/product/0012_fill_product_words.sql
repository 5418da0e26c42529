-- no-transaction
-- Fills the words of the products that were there, 1,000 at a time, each time in a transaction of its own. A product
-- that a function has locked is passed over: the search works its words out, as before.
DO $$
DECLARE
    done uuid := '00000000-0000-0000-0000-000000000000';
    last uuid;
BEGIN
    LOOP
        SELECT max(id::text)::uuid INTO last FROM
            (SELECT id FROM products WHERE id > done ORDER BY id LIMIT 1000) AS part;
        EXIT WHEN last IS NULL;
        UPDATE products SET words = strip(to_tsvector('simple', translate(
            name || ' ' || description,
            '!"#$%&''()*+,-./:;<=>?@[\]^_`{|}~', '                                ')))
        WHERE id IN (SELECT id FROM products WHERE id > done AND id <= last AND words IS NULL
                     FOR NO KEY UPDATE SKIP LOCKED);
        COMMIT;
        done := last;
    END LOOP;
END $$;
