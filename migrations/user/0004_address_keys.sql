-- One account per address, in whatever spelling: an address has a key that all of its spellings share
-- (functions/user/src/address.rs). New accounts bring theirs.
--
-- email_key stays: it is how the owner of an older account spells it.
ALTER TABLE users
    -- None yet, or that of an older account.
    ADD COLUMN address_key text CONSTRAINT users_address_key UNIQUE,
    -- An older account has this address in another spelling. Both were made before there were keys: its
    -- owner signs in with the spelling of email_key.
    ADD COLUMN twin boolean NOT NULL DEFAULT false,
    ADD CONSTRAINT users_twin_without_key CHECK (NOT twin OR address_key IS NULL);

-- In ASCII the key is the address in lower case, unless a domain stands in its encoded form. For the
-- others a function works it out, as soon as it meets them.
UPDATE users SET address_key = email_key
    WHERE octet_length(email_key) = char_length(email_key) AND position('xn--' IN email_key) = 0;

-- Those that have none yet.
CREATE INDEX users_without_key_idx ON users (created_at) WHERE address_key IS NULL AND NOT twin;

GRANT INSERT (address_key), UPDATE (address_key, twin) ON users TO zerocart_user;
