-- What orders were asked to pay, at most one payment each, and what came of it.
CREATE TABLE payments (
    id             uuid           NOT NULL CONSTRAINT payments_pkey PRIMARY KEY,
    order_id       uuid           NOT NULL CONSTRAINT payments_order_id_key UNIQUE,
    user_id        uuid           NOT NULL,
    -- NULL where a refund came before any charge: nothing was ever to be charged.
    amount         numeric(15, 2)
        CONSTRAINT payments_amount_not_negative CHECK (amount >= 0),
    payment_method text           NOT NULL,
    -- PENDING: the gateway has certainly charged nothing. PROCESSING: it may have.
    status         text           NOT NULL
        CONSTRAINT payments_status_known
            CHECK (status IN ('PENDING', 'PROCESSING', 'SUCCESS', 'FAILED', 'CANCELLED')),
    -- Why a charge was declined.
    reason         text,
    -- A refund was asked for: no charge is begun any more.
    barred         boolean        NOT NULL DEFAULT false,
    -- The number of requests to the gateway. The last one's number is what its sender must still
    -- find here to record the answer: another may have taken over.
    attempts       integer        NOT NULL DEFAULT 0,
    -- While the last request runs: when others need not wait for its sender any more.
    attempt_until  timestamptz,
    created_at     timestamptz    NOT NULL DEFAULT clock_timestamp(),
    updated_at     timestamptz    NOT NULL DEFAULT clock_timestamp(),
    CONSTRAINT payments_amount_unless_barred CHECK (amount IS NOT NULL OR barred)
);

-- Every request to the gateway, recorded before it is sent and completed with its answer.
CREATE TABLE payment_attempts (
    payment_id uuid        NOT NULL
        CONSTRAINT payment_attempts_payment_id_fkey REFERENCES payments (id),
    number     integer     NOT NULL,
    kind       text        NOT NULL
        CONSTRAINT payment_attempts_kind_known CHECK (kind IN ('CHARGE', 'FIND', 'REFUND')),
    started_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    -- NULL, with its outcome, while it runs, and for ever where its sender went away.
    ended_at   timestamptz,
    outcome    text
        CONSTRAINT payment_attempts_outcome_known
            CHECK (outcome IN ('CHARGED', 'DECLINED', 'REFUNDED', 'VOIDED', 'NOT_FOUND',
                               'GATEWAY_TIMEOUT', 'TEMPORARILY_UNAVAILABLE')),
    CONSTRAINT payment_attempts_pkey PRIMARY KEY (payment_id, number),
    CONSTRAINT payment_attempts_ended_with_outcome
        CHECK ((ended_at IS NULL) = (outcome IS NULL))
);

GRANT SELECT, INSERT, UPDATE ON payments, payment_attempts TO zerocart_payment;
