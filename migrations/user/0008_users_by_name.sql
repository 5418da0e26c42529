-- no-transaction
-- list-users finds accounts by the beginning of their name, without regard to case, width and the form of accents,
-- and lists them in this order.
CREATE INDEX CONCURRENTLY users_by_name ON users ((lower(normalize(name, NFKC)) COLLATE "C"), id);
