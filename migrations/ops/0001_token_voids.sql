-- Tokens of people that are void for the functions of this domain: those of a generation before the one that is
-- recorded (shared/postgres). Every function reads the list, and keeps it in memory for a minute at the most.
CREATE TABLE token_voids (
    user_id    uuid        NOT NULL CONSTRAINT token_voids_pkey PRIMARY KEY,
    -- The first generation whose tokens are good.
    generation integer     NOT NULL CONSTRAINT token_voids_generation_counted CHECK (generation > 0),
    -- From then on all those tokens have expired, and the row says nothing any more.
    until      timestamptz NOT NULL
);

GRANT SELECT, INSERT, UPDATE, DELETE ON token_voids TO zerocart_ops;
