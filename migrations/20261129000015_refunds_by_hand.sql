-- migrate:up
SET LOCAL lock_timeout = '5s';
SET LOCAL statement_timeout = '60s';
SET LOCAL ROLE pitstop_owner;

-- One refund that somebody made by hand, in Stripe's dashboard, may settle all that is owed of a payment. Ours are one to a debt
-- by their idempotency key.
-- squawk-ignore ban-drop-constraint
ALTER TABLE refunds DROP CONSTRAINT refunds_stripe_refund_id_key;

RESET ROLE;

-- migrate:down
SET LOCAL lock_timeout = '5s';
SET LOCAL statement_timeout = '60s';
SET LOCAL ROLE pitstop_owner;

-- squawk-ignore disallowed-unique-constraint, constraint-missing-not-valid
ALTER TABLE refunds ADD CONSTRAINT refunds_stripe_refund_id_key UNIQUE (stripe_refund_id);

RESET ROLE;
