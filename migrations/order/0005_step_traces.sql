-- The span under which a step was begun, as a value of the header traceparent. A driver that takes the order
-- over links its own span to it, so a trace shows both.
ALTER TABLE order_steps ADD COLUMN traceparent text;
