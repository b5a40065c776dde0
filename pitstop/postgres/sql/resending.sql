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
-- Whoever asks wants it twice: it is another sending, of which the old one's news say nothing. The tries go on being counted.
-- One that is waiting to be sent stays as it is.
WITH again AS (
    UPDATE notifications SET
        status = 'pending', sending = sending + 1, sent_at = NULL, detail = NULL, claimed_at = NULL, message_sid = NULL,
        delivery_status = NULL, delivery_code = NULL, delivery_at = NULL
    WHERE booking_id = $1 AND key = $2 AND status IN ('sent', 'failed', 'skipped')
    RETURNING booking_id, kind, channel, sending
)
INSERT INTO booking_events (booking_id, at, event, detail)
SELECT
    booking_id, clock_timestamp(), 'notice_resent',
    jsonb_build_object('kind', kind, 'channel', channel, 'key', $2::text, 'sending', sending)
FROM again
