-- A booking's notices as operators see them, and sending one again. Row-level security: operators only change them.

-- name: become
SELECT set_config('pitstop.role', $1, TRUE), set_config('pitstop.subject', $2, TRUE)

-- name: standing
SELECT id AS booking_id, encode(request_fingerprint, 'hex') AS fingerprint, mechanic_id, customer_id, starts_at, status
FROM bookings WHERE id = $1

-- name: notices
SELECT
    key, kind, channel, status, due_at, attempts, sending, sent_at, detail, delivery_status, delivery_code, delivery_at
FROM notifications WHERE booking_id = $1
ORDER BY COALESCE(due_at, created_at), key

-- name: resend
SELECT resend_notice($1, $2)
