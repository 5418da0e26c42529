-- no-transaction
-- list-users finds accounts by the beginning of their e-mail, and lists them in this order. An older account
-- without a key of its own has its spelling. In the order of bytes, which the beginning of a text is a range of.
CREATE INDEX CONCURRENTLY users_by_email ON users ((coalesce(address_key, email_key) COLLATE "C"), id);
