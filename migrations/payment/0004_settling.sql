-- A payment that was undone is refunded before anything else is said of it: SUCCESS is a charge that
-- stands. Those that a version before this one left so are refunded by whoever looks next.
UPDATE payments SET status = 'PROCESSING' WHERE barred AND status = 'SUCCESS';

ALTER TABLE payments
    ADD CONSTRAINT payments_barred_is_no_success CHECK (NOT barred OR status <> 'SUCCESS'),
    -- The role of whoever had it charged: 'service' once an order relies on it, which then alone
    -- undoes it. NULL where a refund came first, and for payments from before this was recorded.
    ADD COLUMN charged_by text
        CONSTRAINT payments_charged_by_known CHECK (charged_by IN ('admin', 'service')),
    -- How often in a row it was settled in vain when nobody drove it any more, and when it is worth
    -- looking again.
    ADD COLUMN settles integer NOT NULL DEFAULT 0
        CONSTRAINT payments_settles_not_negative CHECK (settles >= 0),
    ADD COLUMN settle_at timestamptz;

-- What settle-payments looks for.
CREATE INDEX payments_unsettled ON payments (settle_at) WHERE status = 'PROCESSING';
