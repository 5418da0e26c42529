-- Who asked the driver to cancel the order, for the order's reason. Functions of the version before do not write
-- it: false is the shop, for which alone they ask.
ALTER TABLE orders ADD COLUMN cancel_by_customer boolean NOT NULL DEFAULT false;

-- The function or job that began a step, and why the step was not done. Steps of the version before have neither.
ALTER TABLE order_steps ADD COLUMN driver text, ADD COLUMN reason text;
