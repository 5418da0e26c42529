-- Accounts. The functions' role reads them and adds customers; it cannot say what role an account
-- has, so that no fault in a function makes an admin.
CREATE TABLE users (
    id            uuid        NOT NULL CONSTRAINT users_pkey PRIMARY KEY,
    -- As it was given at sign-up.
    email         text        NOT NULL,
    -- The e-mail in lower case by Unicode's rules, which the database's locale may not know.
    email_key     text        NOT NULL CONSTRAINT users_email_key UNIQUE,
    name          text        NOT NULL,
    -- argon2id, as a PHC string.
    password_hash text        NOT NULL,
    role          text        NOT NULL DEFAULT 'customer'
        CONSTRAINT users_role_known CHECK (role IN ('customer', 'admin')),
    created_at    timestamptz NOT NULL DEFAULT now()
);

GRANT SELECT, INSERT (id, email, email_key, name, password_hash) ON users TO zerocart_user;
