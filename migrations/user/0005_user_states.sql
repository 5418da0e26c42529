-- An admin may disable an account. Its owner cannot sign in then, and the tokens that the owner has are void.
ALTER TABLE users
    ADD COLUMN state text NOT NULL DEFAULT 'active'
        CONSTRAINT users_state_known CHECK (state IN ('active', 'disabled')),
    -- What new tokens of the user are given. When the tokens of a user become void, it is raised by one.
    ADD COLUMN token_generation integer NOT NULL DEFAULT 0
        CONSTRAINT users_token_generation_counted CHECK (token_generation >= 0);

GRANT UPDATE (state, token_generation) ON users TO zerocart_user;

-- Tokens of people that are void for the functions of this domain: those of a generation before the one that is
-- recorded (shared/postgres). Every function reads the list, and keeps it in memory for a minute at the most.
CREATE TABLE token_voids (
    user_id    uuid        NOT NULL CONSTRAINT token_voids_pkey PRIMARY KEY,
    -- The first generation whose tokens are good.
    generation integer     NOT NULL CONSTRAINT token_voids_generation_counted CHECK (generation > 0),
    -- From then on all those tokens have expired, and the row says nothing any more.
    until      timestamptz NOT NULL
);

GRANT SELECT, INSERT, UPDATE, DELETE ON token_voids TO zerocart_user;

-- The other domains that do not have a void yet. It is written with the void, in one transaction, and taken away
-- when the domain has it.
CREATE TABLE void_deliveries (
    user_id    uuid        NOT NULL,
    domain     text        NOT NULL,
    generation integer     NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT void_deliveries_pkey PRIMARY KEY (user_id, domain)
);

CREATE INDEX void_deliveries_created_at_idx ON void_deliveries (created_at);

GRANT SELECT, INSERT, UPDATE, DELETE ON void_deliveries TO zerocart_user;
