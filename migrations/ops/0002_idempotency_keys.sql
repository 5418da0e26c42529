-- The answers that were given under an idempotency key, each written in the transaction of its
-- effect (shared/postgres). Kept for 24 hours; later records take the expired ones away.
CREATE TABLE idempotency_keys (
    -- SHA-256 of caller, RPC and key: the key itself is not stored.
    key         bytea       NOT NULL,
    -- SHA-256 of key and request: tells another request under the same key.
    fingerprint bytea       NOT NULL,
    -- The response message as protobuf; or the error. An empty message has zero bytes.
    response    bytea,
    error       jsonb,
    created_at  timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT idempotency_keys_pkey PRIMARY KEY (key),
    CONSTRAINT idempotency_keys_key_sha256 CHECK (octet_length(key) = 32),
    CONSTRAINT idempotency_keys_fingerprint_sha256 CHECK (octet_length(fingerprint) = 32),
    CONSTRAINT idempotency_keys_one_answer CHECK (num_nonnulls(response, error) = 1)
);

CREATE INDEX idempotency_keys_created_at_idx ON idempotency_keys (created_at);

GRANT SELECT, INSERT, UPDATE, DELETE ON idempotency_keys TO zerocart_ops;
