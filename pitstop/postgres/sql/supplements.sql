-- The difference that a customer pays to have a booking moved to a dearer plan: each block is part of a transaction that has the
-- booking locked.

-- name: open_supplement
INSERT INTO supplements (
    id, booking_id, amount, currency, service_id, plan_id, price, policy, mechanic_id, starts_at, ends_at, asked_by_role,
    percent_at_most, asked_at, expires_at, lapses_at
)
SELECT
    $2, b.id, $3, b.currency, $4, $5, b.amount + $3, $6, $7, $8::timestamptz, $8::timestamptz + $9::interval, $10, $11, $12, $13, $14
FROM bookings AS b WHERE b.id = $1

-- name: open_as_asked
-- One that may still be paid, for just that.
SELECT id FROM supplements
WHERE booking_id = $1 AND service_id = $2 AND plan_id = $3 AND price = $4 AND mechanic_id = $5 AND starts_at = $6
    AND status = 'open' AND expires_at > $7

-- name: left_unpaid
SELECT count(*) FROM supplements WHERE booking_id = $1 AND status IN ('lapsed', 'replaced')

-- name: hold_for_supplement
-- The new time, beside the booking's own, under the id of the change. The constraints decide; no row comes back where there is no
-- bay.
INSERT INTO slot_reservations (
    id, booking_id, mechanic_id, bay_id, starts_at, ends_at, blocked, status, expires_at, supplement_id
)
SELECT u.id, u.booking_id, u.mechanic_id, bay.id, u.starts_at, u.ends_at, $3, 'reserved', u.lapses_at, u.id
FROM supplements AS u
JOIN services AS s ON s.id = u.service_id
LEFT JOIN bay_for_move(u.booking_id, u.mechanic_id, $3, $4) AS bay (id) ON s.kind = 'in_person'
WHERE u.booking_id = $1 AND u.id = $2 AND (bay.id IS NOT NULL OR s.kind <> 'in_person')
RETURNING id

-- name: close_supplement
-- The one that is open. What was held for it is free again.
WITH closed AS (
    UPDATE supplements SET status = $2, closed_at = $3 WHERE booking_id = $1 AND status = 'open' RETURNING id
),
freed AS (
    UPDATE slot_reservations AS r SET status = CASE $2::text WHEN 'lapsed' THEN 'expired' ELSE 'cancelled' END
    FROM closed WHERE r.supplement_id = closed.id AND r.status = 'reserved'
)
SELECT id FROM closed

-- name: to_be_paid
-- What the PaymentIntent of the open supplement is made from.
SELECT
    u.amount, u.currency, b.customer_email, u.mechanic_id, u.starts_at, s.name AS service_name, p.payment_intent_id
FROM supplements AS u
JOIN bookings AS b ON b.id = u.booking_id
JOIN services AS s ON s.id = u.service_id
LEFT JOIN payments AS p ON p.supplement_id = u.id
WHERE u.booking_id = $1 AND u.id = $2 AND u.status = 'open'

-- name: record_intent
-- Also of one that was closed in that moment: then it is on record that Stripe has to be told.
INSERT INTO payments (payment_intent_id, booking_id, amount, currency, client_secret, status, supplement_id)
SELECT $3, u.booking_id, u.amount, u.currency, $4, $5, u.id FROM supplements AS u WHERE u.booking_id = $1 AND u.id = $2
ON CONFLICT DO NOTHING

-- name: agreed
SELECT amount, currency, payment_intent_id FROM payments
WHERE booking_id = $1 AND payment_intent_id = $2 AND supplement_id IS NOT NULL

-- name: supplement_of
-- Of this PaymentIntent, as it stands, with the columns of an offer. `held`: nobody else has got the time meanwhile.
SELECT
    u.id, u.status, u.amount AS difference, u.asked_by_role, u.percent_at_most, u.lapses_at, u.mechanic_id, u.starts_at,
    u.service_id, s.kind, u.plan_id, u.price AS amount, u.currency, u.ends_at - u.starts_at AS length, u.policy,
    p.amount AS to_pay, p.currency AS to_pay_in, p.paid_at,
    EXISTS (SELECT FROM slot_reservations AS r WHERE r.supplement_id = u.id AND r.status = 'reserved') AS held
FROM payments AS p
JOIN supplements AS u ON u.id = p.supplement_id
JOIN services AS s ON s.id = u.service_id
WHERE p.booking_id = $1 AND p.payment_intent_id = $2

-- name: record_payment
UPDATE payments SET status = 'succeeded', failure_code = NULL, paid_at = $3, updated_at = $3
WHERE booking_id = $1 AND payment_intent_id = $2 AND paid_at IS NULL
RETURNING payment_intent_id

-- name: record_void
UPDATE payments SET status = 'canceled', updated_at = $3
WHERE booking_id = $1 AND payment_intent_id = $2 AND paid_at IS NULL AND status <> 'canceled'

-- name: return_payment
-- All of it, once.
INSERT INTO refunds (idempotency_key, booking_id, payment_intent_id, amount, reason, requested_at)
SELECT 'refund/' || payment_intent_id || '/returned', booking_id, payment_intent_id, amount, 'supplement_not_used', $3
FROM payments WHERE booking_id = $1 AND payment_intent_id = $2
ON CONFLICT (idempotency_key) DO NOTHING
RETURNING amount
