-- Stripe's events: stored once by id before they are acknowledged, applied to the booking's workflow after.

-- name: become_webhook
SELECT set_config('pitstop.role', 'webhook', TRUE)

-- name: become_link
-- Whoever holds a booking's link sees that booking and no other: as much as judging its payment needs.
SELECT set_config('pitstop.role', 'link', TRUE), set_config('pitstop.subject', $1, TRUE)

-- name: agreed
-- For the PaymentIntent that has brought money ($2), if it is one of the booking's; otherwise for the booking's own.
SELECT
    COALESCE(its.amount, own.amount, b.amount) AS amount, b.currency,
    COALESCE(its.payment_intent_id, own.payment_intent_id) AS payment_intent_id
FROM bookings AS b
LEFT JOIN payments AS own ON own.booking_id = b.id AND own.supplement_id IS NULL
LEFT JOIN payments AS its ON its.booking_id = b.id AND its.payment_intent_id = $2
WHERE b.id = $1

-- name: store
-- An event that is of no concern to a booking is applied by being stored: $5 says so.
INSERT INTO webhook_inbox (event_id, type, booking_id, payload, applied_at, outcome)
VALUES ($1, $2, $3, $4, CASE WHEN $5::text IS NOT NULL THEN clock_timestamp() END, $5)
ON CONFLICT (event_id) DO UPDATE SET event_id = excluded.event_id
RETURNING applied_at IS NULL

-- name: unapplied
SELECT event_id, type, booking_id, payload FROM webhook_inbox WHERE applied_at IS NULL ORDER BY received_at LIMIT $1

-- name: mark_applied
UPDATE webhook_inbox SET applied_at = clock_timestamp(), outcome = $2 WHERE event_id = $1 AND applied_at IS NULL
