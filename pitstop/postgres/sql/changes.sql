-- What is asked of a booking that has its slot: each block is part of one transaction, which has the booking locked.

-- name: change
-- Locked: whoever has asked cannot take it back while it is decided on. `theirs`: whether it is theirs to ask still: a mechanic
-- asks of its own booking, and whoever keeps a workshop of what takes place there. Those to whom an immediate session was
-- offered are known by the offer.
SELECT
    c.id, c.kind, c.asked_by_role, c.wanted, c.reason, c.outcome, c.detail,
    CASE
        WHEN c.asked_by_role <> 'mechanic' OR c.kind IN ('accept', 'decline_offer') THEN TRUE
        WHEN c.kind ~ '^workshop_' THEN EXISTS (
            SELECT FROM mechanics AS m
            WHERE m.id::text = c.asked_by AND m.keeps_workshop AND m.workshop_id = b.workshop_id
        )
        ELSE b.mechanic_id::text = c.asked_by
    END AS theirs
FROM booking_changes AS c
JOIN bookings AS b ON b.id = c.booking_id
WHERE c.id = $1 AND c.booking_id = $2
FOR UPDATE OF c

-- name: decide
UPDATE booking_changes SET decided_at = $2, outcome = $3, detail = $4 WHERE id = $1 AND outcome IS NULL

-- name: keep_all_still
-- Of all mechanics that a move concerns.
SELECT keep_all_still($1::uuid[], $2)

-- name: plan_name
SELECT concat_ws(', ', s.name, p.name) FROM plans AS p JOIN services AS s ON s.id = p.service_id WHERE p.id = $1

-- name: mechanic_name
SELECT name FROM mechanics WHERE id = $1

-- name: offer
-- A service and a plan of it, with the terms of this moment.
SELECT
    s.id AS service_id, s.kind, p.id AS plan_id, p.amount, p.currency, make_interval(mins => s.duration_minutes) AS length,
    COALESCE(own.terms, standard.terms) AS policy
FROM services AS s
JOIN plans AS p ON p.service_id = s.id AND p.id = $2 AND p.active
JOIN booking_policies AS standard ON standard.name = 'standard'
LEFT JOIN booking_policies AS own ON own.id = s.policy_id
WHERE s.id = $1 AND s.active

-- name: target
-- The time that a booking would block with another mechanic, start or service ($5, of length $6). A start within a year of
-- either end of the calendar is refused as what it is; its blocked time could not be read, so that of a nearer one stands in.
SELECT
    greatest(s.buffer_before_minutes, ms.buffer_before_minutes) AS buffer_before_minutes,
    greatest(s.buffer_after_minutes, ms.buffer_after_minutes) AS buffer_after_minutes,
    tstzrange(
        near.starts_at - make_interval(mins => greatest(s.buffer_before_minutes, ms.buffer_before_minutes)),
        near.starts_at + $6::interval + make_interval(mins => greatest(s.buffer_after_minutes, ms.buffer_after_minutes))
    ) AS blocked,
    slot_refusal(ms.mechanic_id, s.id, $3::timestamptz, $4, $1) AS refusal
FROM services AS s
JOIN mechanic_services AS ms ON ms.service_id = s.id AND ms.mechanic_id = $2
CROSS JOIN LATERAL (
    SELECT greatest(least($3::timestamptz, timestamptz '9998-12-31 00:00Z'), timestamptz '0002-01-01 00:00Z') AS starts_at
) AS near
WHERE s.id = $5

-- name: move_reservation
-- One row, one statement: the new time is taken as the old one is let go, and the constraints decide. The bay stays if it is
-- free then and of the same workshop.
UPDATE slot_reservations AS r SET
    mechanic_id = $2, starts_at = $3::timestamptz, ends_at = $3::timestamptz + $7::interval, blocked = $4,
    bay_id = CASE WHEN s.kind = 'in_person' THEN bay_for_move($1, $2, $4, $5) END
FROM services AS s
WHERE r.booking_id = $1 AND r.status = 'confirmed' AND s.id = $6
    AND (s.kind <> 'in_person' OR bay_for_move($1, $2, $4, $5) IS NOT NULL)
RETURNING r.id

-- name: move_session
UPDATE sessions SET scheduled_for = $2, mechanic_id = $3 WHERE booking_id = $1 AND status = 'scheduled' RETURNING id

-- name: move_booking
UPDATE bookings SET
    starts_at = $2::timestamptz, ends_at = $2::timestamptz + $8::interval, mechanic_id = $3, buffer_before_minutes = $4,
    buffer_after_minutes = $5, moves = moves + 1, invite_sequence = invite_sequence + 1,
    customer_moves = customer_moves + $6, refund_percent_at_most = LEAST(refund_percent_at_most, $7)
WHERE id = $1 AND status = 'confirmed'
RETURNING moves

-- name: hand_over
-- The time stays, and with it the reminders; the invite names another mechanic.
UPDATE bookings SET
    mechanic_id = $2, buffer_before_minutes = $3, buffer_after_minutes = $4, invite_sequence = invite_sequence + 1
WHERE id = $1 AND status = 'confirmed'
RETURNING id

-- name: resell_booking
-- Another service or plan, with its price and policy of this moment; another service has reminders of its own.
UPDATE bookings AS b SET
    service_id = s.id, plan_id = $3, amount = $4, policy = $5,
    reminder_offsets = CASE WHEN b.service_id = s.id THEN b.reminder_offsets ELSE s.reminder_offsets END
FROM services AS s
WHERE b.id = $1 AND s.id = $2 AND b.status = 'confirmed'
RETURNING b.id

-- name: resell_session
UPDATE sessions SET kind = $2, plan_id = $3, price_paid = $4 WHERE booking_id = $1 AND status = 'scheduled' RETURNING id

-- name: note
INSERT INTO booking_events (booking_id, at, event, detail) VALUES ($1, $2, $3, $4)

-- name: check_in
INSERT INTO check_ins (booking_id, party, at) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING RETURNING booking_id

-- name: forget_check_ins
-- Whoever came, came to the time and the mechanic of then. The timeline keeps it.
DELETE FROM check_ins WHERE booking_id = $1 AND party = ANY($2::text[])

-- name: who_came
SELECT party FROM check_ins WHERE booking_id = $1

-- name: waiver_missing
SELECT waiver_missing($1)

-- name: start_session
WITH started AS (
    UPDATE bookings SET status = 'in_progress' WHERE id = $1 AND status = 'confirmed' RETURNING id
)
UPDATE sessions SET status = 'in_progress', started_at = $2 FROM started
WHERE sessions.booking_id = started.id AND sessions.status = 'scheduled'
RETURNING sessions.id

-- name: close_session
UPDATE sessions SET status = $2, ended_at = $3, absent = $4
WHERE booking_id = $1 AND status IN ('scheduled', 'in_progress')
RETURNING id

-- name: shorten_reservation
-- The session has ended before its time: what is left of that is free again, but for the mechanic's pause after it. The part
-- that was used stays on record; a reservation has a length, so one that ends before its start keeps a minute.
UPDATE slot_reservations AS r SET
    ends_at = used.until, blocked = tstzrange(lower(r.blocked), used.until + (upper(r.blocked) - r.ends_at))
FROM (
    SELECT o.id, greatest($2::timestamptz, o.starts_at + interval '1 minute') AS until
    FROM slot_reservations AS o WHERE o.booking_id = $1 AND o.status = 'confirmed'
) AS used
WHERE r.id = used.id AND used.until < r.ends_at
RETURNING r.id
