-- The far side of the simulated payment gateway. Its tables stand for the provider's own: nothing
-- but the simulator reads or writes them.

-- How it behaves: one row, read by every instance at every request.
CREATE TABLE simulator_settings (
    id           boolean          NOT NULL DEFAULT true
        CONSTRAINT simulator_settings_pkey PRIMARY KEY
        CONSTRAINT simulator_settings_one_row CHECK (id),
    failure_rate double precision NOT NULL DEFAULT 0.3
        CONSTRAINT simulator_settings_failure_rate_share CHECK (failure_rate BETWEEN 0 AND 1),
    min_delay_ms integer          NOT NULL DEFAULT 1000
        CONSTRAINT simulator_settings_min_delay_not_negative CHECK (min_delay_ms >= 0),
    max_delay_ms integer          NOT NULL DEFAULT 3000,
    failures     text[]           NOT NULL
        DEFAULT '{GATEWAY_TIMEOUT,INSUFFICIENT_FUNDS,TEMPORARILY_UNAVAILABLE}'
        CONSTRAINT simulator_settings_failures_known
            CHECK (cardinality(failures) > 0
                   AND failures <@ '{GATEWAY_TIMEOUT,INSUFFICIENT_FUNDS,TEMPORARILY_UNAVAILABLE}'),
    CONSTRAINT simulator_settings_delays_ordered CHECK (min_delay_ms <= max_delay_ms)
);

INSERT INTO simulator_settings DEFAULT VALUES;

-- What it has done, once per key: money was taken exactly where the state is CHARGED.
CREATE TABLE simulator_charges (
    -- The key that the shop chose: the order's id.
    key         uuid           NOT NULL CONSTRAINT simulator_charges_pkey PRIMARY KEY,
    -- VOIDED: undone before it was charged. What is not CHARGED never becomes it.
    state       text           NOT NULL
        CONSTRAINT simulator_charges_state_known
            CHECK (state IN ('CHARGED', 'DECLINED', 'REFUNDED', 'VOIDED')),
    -- NULL where no charge was asked for.
    amount      numeric(15, 2),
    created_at  timestamptz    NOT NULL DEFAULT clock_timestamp(),
    refunded_at timestamptz,
    CONSTRAINT simulator_charges_amount_of_charge CHECK (amount IS NOT NULL OR state = 'VOIDED'),
    CONSTRAINT simulator_charges_refunded_at CHECK ((refunded_at IS NULL) = (state <> 'REFUNDED'))
);

GRANT SELECT, UPDATE ON simulator_settings TO zerocart_payment;
GRANT SELECT, INSERT, UPDATE ON simulator_charges TO zerocart_payment;
