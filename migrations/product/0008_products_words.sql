-- no-transaction
-- The words of the search of ListProducts. The configuration `simple` takes words as they are: a shop may have any
-- language, and several. Punctuation becomes blanks, since the parser takes `tea/cup` for a path.
--
-- An index of an expression and no column: a column would rewrite the table while nobody can use it. A change of
-- stock touches no column of the expression, so it stays a HOT update.
--
-- Without fastupdate: otherwise each search also reads the list of what was added lately, up to 4 MB. Products are
-- added seldom and searched often.
CREATE INDEX CONCURRENTLY products_words ON products USING gin (
    to_tsvector('simple', translate(name || ' ' || description, '!"#$%&''()*+,-./:;<=>?@[\]^_`{|}~', '                                '))
) WITH (fastupdate = off) WHERE archived_at IS NULL;
