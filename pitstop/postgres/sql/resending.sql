-- A booking's notices as operators see them, and sending one again. Row-level security: operators only change them.

-- name: become
SELECT set_config('pitstop.role', $1, TRUE), set_config('pitstop.subject', $2, TRUE)

-- name: standing
SELECT id AS booking_id, encode(request_fingerprint, 'hex') AS fingerprint, mechanic_id, customer_id, starts_at, status
FROM bookings WHERE id = $1

-- name: notices
-- What came of earlier sendings is in the timeline's entries about those that followed.
SELECT
    n.key, n.kind, n.channel, n.status, n.due_at, n.attempts, n.sending, n.sent_at, n.detail, n.delivery_status, n.delivery_code,
    n.delivery_at,
    COALESCE((
        SELECT jsonb_agg(e.detail -> 'before' ORDER BY e.id)
        FROM booking_events AS e
        WHERE e.booking_id = n.booking_id AND e.event = 'notice_resent' AND e.detail ->> 'key' = n.key AND e.detail ? 'before'
    ), '[]') AS earlier
FROM notifications AS n WHERE n.booking_id = $1
ORDER BY COALESCE(n.due_at, n.created_at), n.key

-- name: resend
SELECT resend_notice($1, $2)
