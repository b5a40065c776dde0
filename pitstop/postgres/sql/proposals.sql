-- Other times that are offered for a booking: each block is part of a transaction that has the booking locked.

-- name: propose
INSERT INTO proposals (id, booking_id, options, proposed_by, proposed_at, expires_at) VALUES ($2, $1, $3, $4, $5, $6)

-- name: open_proposal
SELECT id, options, proposed_by, expires_at FROM proposals WHERE booking_id = $1 AND status = 'open'

-- name: close_proposal
UPDATE proposals SET status = $2, closed_at = $3 WHERE booking_id = $1 AND status = 'open' RETURNING id

-- name: lapse_proposal
UPDATE proposals SET status = 'lapsed', closed_at = $2 WHERE booking_id = $1 AND status = 'open' AND expires_at <= $2
RETURNING id
