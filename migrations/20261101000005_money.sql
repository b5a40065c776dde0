-- migrate:up
SET LOCAL lock_timeout = '5s';
SET LOCAL statement_timeout = '60s';
SET LOCAL ROLE pitstop_owner;

-- A Stripe PaymentIntent of a booking. `status` is Stripe's own word for it, as last heard.
CREATE TABLE payments (
    payment_intent_id text PRIMARY KEY,
    booking_id uuid NOT NULL UNIQUE REFERENCES bookings (id),
    amount bigint NOT NULL CHECK (amount > 0),
    currency text NOT NULL,
    -- Given to the paying customer only; kept out of workflow histories and logs.
    client_secret text NOT NULL,
    status text NOT NULL,
    failure_code text,
    paid_at timestamptz,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now()
);

-- Money that goes back. The key is the idempotency key that Stripe gets: one key, one refund, however often it is tried.
CREATE TABLE refunds (
    idempotency_key text PRIMARY KEY,
    booking_id uuid NOT NULL REFERENCES bookings (id),
    payment_intent_id text NOT NULL REFERENCES payments (payment_intent_id),
    amount bigint NOT NULL CHECK (amount > 0),
    reason text NOT NULL,
    stripe_refund_id text UNIQUE,
    requested_at timestamptz NOT NULL,
    -- Null while the refund is owed and not yet accepted by Stripe.
    refunded_at timestamptz
);
CREATE INDEX refunds_of_booking ON refunds (booking_id);
CREATE INDEX refunds_to_issue ON refunds (requested_at) WHERE refunded_at IS NULL;

-- Every event that Stripe has told us, once by its id: stored before it is acknowledged, applied after.
CREATE TABLE webhook_inbox (
    event_id text PRIMARY KEY,
    type text NOT NULL,
    booking_id uuid,
    -- As it came: jsonb refuses some escapes that JSON allows, and nothing is searched in it.
    payload json NOT NULL,
    received_at timestamptz NOT NULL DEFAULT now(),
    applied_at timestamptz,
    outcome text
);
CREATE INDEX webhooks_to_apply ON webhook_inbox (received_at) WHERE applied_at IS NULL;

-- One row for each mail that is owed, sent or was deliberately not sent. The key is (booking, kind, offset) for ever.
CREATE TABLE notifications (
    key text PRIMARY KEY,
    booking_id uuid NOT NULL REFERENCES bookings (id),
    kind text NOT NULL CHECK (kind IN ('confirmation', 'reminder', 'cancellation', 'refund')),
    channel text NOT NULL DEFAULT 'email' CHECK (channel IN ('email')),
    status text NOT NULL CHECK (status IN ('pending', 'sending', 'sent', 'skipped', 'failed')),
    -- When a reminder is to go out; null for mails that go out at once.
    due_at timestamptz,
    attempts integer NOT NULL DEFAULT 0,
    sent_at timestamptz,
    detail text,
    created_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX notifications_of_booking ON notifications (booking_id);
-- The sweep looks for mails that should have gone by now.
CREATE INDEX notifications_to_send ON notifications (COALESCE(due_at, created_at)) WHERE status IN ('pending', 'sending');

RESET ROLE;

-- migrate:down
DROP TABLE notifications, webhook_inbox, refunds, payments;
