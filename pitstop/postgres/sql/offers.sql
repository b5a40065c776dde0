-- Immediate sessions: who is asked, and who takes one. Each block is part of one transaction, which has the booking locked.

-- name: make_pending
-- Paid, and nobody has it yet: the session, without a time.
WITH made AS (
    INSERT INTO sessions (
        booking_id, kind, status, plan_id, intake, price_paid, currency, customer_id, preferred_mechanic_id, country, city,
        postal_code
    )
    SELECT
        b.id, s.kind, 'pending', b.plan_id, b.intake, b.amount, b.currency, b.customer_id, b.preferred_mechanic_id, b.country,
        b.city, b.postal_code
    FROM bookings AS b
    JOIN services AS s ON s.id = b.service_id
    WHERE b.id = $1
    RETURNING id, booking_id
),
waiting AS (
    UPDATE bookings SET status = 'pending', offers_widen_at = $3, offers_end_at = $3 FROM made WHERE bookings.id = made.booking_id
),
noted AS (
    INSERT INTO booking_events (booking_id, at, event, detail)
    SELECT booking_id, $2, noted.event, noted.detail
    FROM made, (
        VALUES
        ('payment_succeeded', '{}'::jsonb), ('pending', jsonb_build_object('until', $3::timestamptz))
    ) AS noted (event, detail)
)
SELECT id FROM made

-- name: offer_to
-- Those who could take it now and have not been asked: within this distance, or ($3 null) the preferred mechanic alone.
-- Brings back how many they are.
WITH offered AS (
    INSERT INTO session_offers (booking_id, mechanic_id, distance, offered_at)
    SELECT b.id, taker.mechanic_id, taker.distance, $2
    FROM bookings AS b
    CROSS JOIN LATERAL takers_now(b.service_id, b.country, b.city, b.postal_code, $2) AS taker
    WHERE b.id = $1 AND CASE WHEN $3::integer IS NULL THEN taker.mechanic_id = b.preferred_mechanic_id
        ELSE taker.distance <= $3 END
    ON CONFLICT DO NOTHING
    RETURNING mechanic_id
)
SELECT count(*) FROM offered

-- name: somebody_considers
-- Whether somebody who was asked may still take it. Who has gone offline may not.
SELECT EXISTS (
    SELECT FROM session_offers AS o
    JOIN mechanics AS m ON m.id = o.mechanic_id AND m.online
    WHERE o.booking_id = $1 AND o.outcome IS NULL
)

-- name: set_reach
UPDATE bookings SET offers_reach = $2, offers_widen_at = LEAST($3, offers_end_at) WHERE id = $1 AND status = 'pending'

-- name: who_asks
SELECT asked_by FROM booking_changes WHERE id = $1

-- name: offer_of
-- `online` as it is now: whoever goes offline waits for the lock of its rules, which this transaction has.
SELECT o.outcome, m.online
FROM session_offers AS o
JOIN mechanics AS m ON m.id = o.mechanic_id
WHERE o.booking_id = $1 AND o.mechanic_id = $2

-- name: decide_offer
UPDATE session_offers SET outcome = $3 WHERE booking_id = $1 AND mechanic_id = $2

-- name: blocked
-- What the session would block if this mechanic began it at $3.
SELECT
    greatest(s.buffer_before_minutes, ms.buffer_before_minutes) AS buffer_before_minutes,
    greatest(s.buffer_after_minutes, ms.buffer_after_minutes) AS buffer_after_minutes,
    $3::timestamptz + make_interval(mins => b.duration_minutes) AS ends_at,
    tstzrange(
        $3::timestamptz - make_interval(mins => greatest(s.buffer_before_minutes, ms.buffer_before_minutes)),
        $3::timestamptz + make_interval(
            mins => b.duration_minutes + greatest(s.buffer_after_minutes, ms.buffer_after_minutes)
        )
    ) AS blocked
FROM bookings AS b
JOIN services AS s ON s.id = b.service_id
JOIN mechanic_services AS ms ON ms.service_id = s.id AND ms.mechanic_id = $2
WHERE b.id = $1

-- name: reserve
-- No `ON CONFLICT`: a mechanic who has something coming is told so by the exclusion constraint.
INSERT INTO slot_reservations (
    id, booking_id, session_id, mechanic_id, starts_at, ends_at, blocked, status, expires_at
)
SELECT $2, s.booking_id, s.id, $3, $4, $5, $6, 'confirmed', $4 FROM sessions AS s WHERE s.booking_id = $1 AND s.status = 'pending'
RETURNING id

-- name: begin_session
UPDATE sessions SET status = 'in_progress', started_at = $2, mechanic_id = $3, slot_reservation_id = $4
WHERE booking_id = $1 AND status = 'pending'
RETURNING id

-- name: take_booking
UPDATE bookings SET
    status = 'in_progress', mechanic_id = $2, starts_at = $3, ends_at = $4, buffer_before_minutes = $5, buffer_after_minutes = $6
WHERE id = $1 AND status = 'pending'
RETURNING id
