-- no-transaction
-- The order of ListOrders. An order comes into this index once, when it has ended: the steps before do not write
-- it. Orders that have not ended are few, and have orders_unfinished.
CREATE INDEX CONCURRENTLY orders_ended_by_status ON orders (status, created_at DESC, id DESC) WHERE step = 'ended';
