-- migrate:up
SET LOCAL lock_timeout = '5s';
SET LOCAL statement_timeout = '60s';
SET LOCAL ROLE pitstop_owner;

-- When a mail, a text message or a refund was tried last, by the database's clock. What is tried by a run is tried every half
-- minute; what has not been for longer, no run knows of, though one may be there: it has lost what it had begun.
ALTER TABLE notifications ADD COLUMN tried_at timestamptz;
ALTER TABLE refunds ADD COLUMN tried_at timestamptz;
GRANT UPDATE (tried_at) ON notifications TO pitstop_worker;
GRANT UPDATE (tried_at) ON refunds TO pitstop_worker;

RESET ROLE;

-- migrate:down
SET LOCAL lock_timeout = '5s';
SET LOCAL statement_timeout = '60s';
SET LOCAL ROLE pitstop_owner;

-- squawk-ignore ban-drop-column
ALTER TABLE refunds DROP COLUMN tried_at;
-- squawk-ignore ban-drop-column
ALTER TABLE notifications DROP COLUMN tried_at;

RESET ROLE;
