-- What is asked of a booking that has its slot: each block is part of one transaction, which has the booking locked.

-- name: change
-- Locked: whoever has asked cannot take it back while it is decided on.
SELECT id, kind, asked_by_role, wanted, outcome, detail FROM booking_changes WHERE id = $1 AND booking_id = $2 FOR UPDATE

-- name: decide
UPDATE booking_changes SET decided_at = $2, outcome = $3, detail = $4 WHERE id = $1 AND outcome IS NULL

-- name: keep_all_still
-- Of all mechanics that a move concerns, in one order: two that swap their slots never wait for each other.
SELECT keep_still(mechanic, $2) FROM unnest($1::uuid[]) AS mechanic ORDER BY mechanic

-- name: target
-- The time that a booking would block with another mechanic or start; its length stays what was agreed.
SELECT
    greatest(s.buffer_before_minutes, ms.buffer_before_minutes) AS buffer_before_minutes,
    greatest(s.buffer_after_minutes, ms.buffer_after_minutes) AS buffer_after_minutes,
    tstzrange(
        $3::timestamptz - make_interval(mins => greatest(s.buffer_before_minutes, ms.buffer_before_minutes)),
        $3::timestamptz + (b.ends_at - b.starts_at) + make_interval(mins => greatest(s.buffer_after_minutes, ms.buffer_after_minutes))
    ) AS blocked,
    slot_refusal(ms.mechanic_id, b.service_id, $3::timestamptz, $4, b.id) AS refusal
FROM bookings AS b
JOIN services AS s ON s.id = b.service_id
JOIN mechanic_services AS ms ON ms.service_id = b.service_id AND ms.mechanic_id = $2
WHERE b.id = $1

-- name: move_reservation
-- One row, one statement: the new time is taken as the old one is let go, and the constraints decide. The bay stays if it is
-- free then and of the same workshop.
UPDATE slot_reservations AS r SET
    mechanic_id = $2, starts_at = $3::timestamptz, ends_at = $3::timestamptz + (b.ends_at - b.starts_at), blocked = $4,
    bay_id = CASE WHEN s.kind = 'in_person' THEN bay_for_move($1, $2, $4, $5) END
FROM bookings AS b
JOIN services AS s ON s.id = b.service_id
WHERE r.booking_id = $1 AND r.status = 'confirmed' AND b.id = $1
    AND (s.kind <> 'in_person' OR bay_for_move($1, $2, $4, $5) IS NOT NULL)
RETURNING r.id

-- name: move_session
UPDATE sessions SET scheduled_for = $2, mechanic_id = $3 WHERE booking_id = $1 AND status = 'scheduled' RETURNING id

-- name: move_booking
UPDATE bookings SET
    starts_at = $2::timestamptz, ends_at = $2::timestamptz + (ends_at - starts_at), mechanic_id = $3, buffer_before_minutes = $4,
    buffer_after_minutes = $5, moves = moves + 1, invite_sequence = invite_sequence + 1,
    customer_moves = customer_moves + $6, refund_percent_at_most = LEAST(refund_percent_at_most, $7)
WHERE id = $1 AND status = 'confirmed'
RETURNING moves

-- name: note
INSERT INTO booking_events (booking_id, at, event, detail) VALUES ($1, $2, $3, $4)

-- name: check_in
INSERT INTO check_ins (booking_id, party, at) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING RETURNING booking_id

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
