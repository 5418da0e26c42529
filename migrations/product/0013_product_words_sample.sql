-- no-transaction
-- The words of a sample: of each 16th product. A search reads in it how frequent its words are, in a sixteenth of the
-- time that products_words takes, and so chooses its way.
--
-- The last byte of an id is random (UUIDv7), so the sample is spread over all products of each order. A product of
-- the sample is written to both indexes.
CREATE INDEX CONCURRENTLY products_words_sample ON products USING gin (
    to_tsvector('simple', translate(name || ' ' || description, '!"#$%&''()*+,-./:;<=>?@[\]^_`{|}~', '                                '))
) WITH (fastupdate = off) WHERE archived_at IS NULL AND get_byte(uuid_send(id), 15) & 15 = 0;
