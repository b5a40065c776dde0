-- A workshop's word on a booking: each block is part of a transaction that has the booking locked.

-- name: end_waiting
-- A yes makes the calendar entry a firm one; what else ends the waiting counts as a change of the entry itself.
UPDATE bookings SET
    workshop_status = $2, workshop_answer_by = NULL,
    invite_sequence = invite_sequence + CASE $2 WHEN 'confirmed' THEN 1 ELSE 0 END
WHERE id = $1 AND status = 'confirmed' AND workshop_status IN ('awaiting', 'proposed')

-- name: place_anew
-- Of a booking that has got another time or mechanic: the workshop of its bay, and whether its word is waited for. $2 `agreed`:
-- the time is the workshop's, or an operator's, own; `open`: it has to be asked; `as_it_was`: the time is the same, so that the
-- same workshop need not be asked again, unless it had proposed others, which are proposed no more. Its period stays what was agreed. Nothing to do for what is not in person.
WITH place AS (
    SELECT
        b.id, w.id AS workshop_id, b.workshop_id IS NOT DISTINCT FROM w.id AS same,
        CASE WHEN b.workshop_id = w.id THEN b.confirms_within_minutes ELSE w.confirms_within_minutes END AS minutes
    FROM bookings AS b
    JOIN slot_reservations AS r ON r.booking_id = b.id AND r.status = 'confirmed'
    LEFT JOIN bays ON bays.id = r.bay_id
    LEFT JOIN workshops AS w ON w.id = bays.workshop_id
    WHERE b.id = $1 AND b.status = 'confirmed' AND (b.workshop_id IS NOT NULL OR w.id IS NOT NULL)
),
judged AS (
    SELECT
        place.*,
        CASE
            WHEN place.minutes IS NULL THEN NULL
            WHEN $2 = 'agreed' THEN 'confirmed'
            WHEN $2 = 'as_it_was' AND place.same AND b.workshop_status <> 'proposed' THEN b.workshop_status
            ELSE 'awaiting'
        END AS state
    FROM place
    JOIN bookings AS b ON b.id = place.id
)
UPDATE bookings AS b SET
    workshop_id = judged.workshop_id, confirms_within_minutes = judged.minutes, workshop_status = judged.state,
    workshop_answer_by = CASE
        WHEN $2 = 'as_it_was' AND judged.same AND b.workshop_status <> 'proposed' THEN b.workshop_answer_by
        WHEN judged.state = 'awaiting'
            THEN LEAST(b.starts_at, $3::timestamptz + make_interval(mins => judged.minutes))
    END
FROM judged
WHERE b.id = judged.id
RETURNING b.workshop_status

-- name: mechanic_there
-- A mechanic of the booking's workshop, with the notice that it wants.
SELECT make_interval(mins => m.minimum_notice_minutes) AS notice
FROM mechanics AS m
JOIN bookings AS b ON b.workshop_id = m.workshop_id
WHERE b.id = $1 AND m.id = $2

-- name: hold_option
-- A proposed time is held as the booking's own is, mechanic and bay. What it shares with the booking's own time is held already:
-- then it has to be the same mechanic's, and in the same bay. No row comes back when it cannot be held.
WITH own AS (
    SELECT mechanic_id, bay_id, blocked FROM slot_reservations
    WHERE booking_id = $1 AND status = 'confirmed' AND proposal_id IS NULL AND supplement_id IS NULL
),
place AS (
    SELECT bay.id AS bay_id, $4::tstzrange && own.blocked AS shared, own.blocked
    FROM own
    CROSS JOIN LATERAL bay_for_move($1, $2, $4, $5) AS bay (id)
    WHERE bay.id IS NOT NULL AND (NOT $4::tstzrange && own.blocked OR (own.mechanic_id = $2 AND own.bay_id = bay.id))
)
INSERT INTO slot_reservations (
    id, booking_id, mechanic_id, bay_id, starts_at, ends_at, blocked, status, expires_at, proposal_id
)
SELECT gen_random_uuid(), $1, $2, place.bay_id, lower(piece), upper(piece), piece, 'reserved', $6, $3
FROM place
CROSS JOIN LATERAL unnest(
    tstzmultirange($4) - CASE WHEN place.shared THEN tstzmultirange(place.blocked) ELSE '{}' END
) AS piece
RETURNING bay_id

-- name: wait_for_customer
UPDATE bookings SET workshop_status = 'proposed', workshop_answer_by = $2
WHERE id = $1 AND status = 'confirmed' AND workshop_status IN ('awaiting', 'proposed')
