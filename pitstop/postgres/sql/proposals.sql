-- Other times that are offered for a booking: each block is part of a transaction that has the booking locked.

-- name: propose
INSERT INTO proposals (id, booking_id, options, proposed_by, proposed_at, expires_at) VALUES ($2, $1, $3, $4, $5, $6)

-- name: open_proposal
SELECT id, options, proposed_by, expires_at FROM proposals WHERE booking_id = $1 AND status = 'open'

-- name: close_proposal
-- What was held for it is free again.
WITH closed AS (
    UPDATE proposals SET status = $2, closed_at = $3 WHERE booking_id = $1 AND status = 'open' RETURNING id
),
freed AS (
    UPDATE slot_reservations AS r SET status = 'cancelled' FROM closed WHERE r.proposal_id = closed.id AND r.status = 'reserved'
)
SELECT id FROM closed

-- name: lapse_proposal
WITH closed AS (
    UPDATE proposals SET status = 'lapsed', closed_at = $2 WHERE booking_id = $1 AND status = 'open' AND expires_at <= $2
    RETURNING id
),
freed AS (
    UPDATE slot_reservations AS r SET status = 'expired' FROM closed WHERE r.proposal_id = closed.id AND r.status = 'reserved'
)
SELECT id FROM closed
