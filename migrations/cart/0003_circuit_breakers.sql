-- The circuit breakers around calls to other functions, shared by all instances (shared/postgres):
-- they outlive processes that scale to zero. A breaker that never saw a failure has no row.
CREATE TABLE circuit_breakers (
    -- What is called: the name of a function.
    name        text        NOT NULL CONSTRAINT circuit_breakers_pkey PRIMARY KEY,
    -- Counts the transitions, and the probes whose lease lapsed.
    generation  bigint      NOT NULL DEFAULT 0,
    state       text        NOT NULL DEFAULT 'closed',
    -- Failures since the last success.
    failures    bigint      NOT NULL DEFAULT 0,
    opened_at   timestamptz,
    -- While half-open: successful probes, probes on their way, and when the last one began.
    successes   bigint      NOT NULL DEFAULT 0,
    probes      bigint      NOT NULL DEFAULT 0,
    admitted_at timestamptz,
    changed_at  timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT circuit_breakers_state_known CHECK (state IN ('closed', 'open', 'half_open')),
    CONSTRAINT circuit_breakers_counts_not_negative
        CHECK (failures >= 0 AND successes >= 0 AND probes >= 0),
    CONSTRAINT circuit_breakers_opened_unless_closed
        CHECK ((opened_at IS NULL) = (state = 'closed')),
    CONSTRAINT circuit_breakers_admitted_when_half_open
        CHECK ((admitted_at IS NOT NULL) = (state = 'half_open'))
);

GRANT SELECT, INSERT, UPDATE ON circuit_breakers TO zerocart_cart;
