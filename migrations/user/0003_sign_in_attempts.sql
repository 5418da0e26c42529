-- Attempts to sign in that have not succeeded, per e-mail, whether it has an account or not: the next
-- attempt waits the longer, the more there were (functions/user/src/attempts.rs).
--
-- Unlogged: counting waits for no disk, and a crash of PostgreSQL forgets the counts and nothing else.
CREATE UNLOGGED TABLE sign_in_attempts (
    -- SHA-256 of the e-mail in lower case: an e-mail that somebody mistyped is not kept.
    email_sha256 bytea       NOT NULL CONSTRAINT sign_in_attempts_pkey PRIMARY KEY
        CONSTRAINT sign_in_attempts_sha256 CHECK (octet_length(email_sha256) = 32),
    -- Since the last success, or since they were forgotten.
    attempts     integer     NOT NULL CONSTRAINT sign_in_attempts_counted CHECK (attempts >= 0),
    last_at      timestamptz NOT NULL,
    -- When the next one is allowed.
    next_at      timestamptz NOT NULL
);

CREATE INDEX sign_in_attempts_last_at_idx ON sign_in_attempts (last_at);

GRANT SELECT, INSERT, UPDATE, DELETE ON sign_in_attempts TO zerocart_user;
