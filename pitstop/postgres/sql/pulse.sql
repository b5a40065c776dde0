-- What the API watches, as the role `pitstop_api`: numbers and ids, no data of anybody.

-- name: ping
SELECT 1

-- name: become_operator
SELECT set_config('pitstop.role', 'operator', TRUE), set_config('pitstop.subject', 'pulse', TRUE)

-- name: become_webhook
SELECT set_config('pitstop.role', 'webhook', TRUE)

-- name: open_bookings
-- By status. Each part has a partial index; bookings that have ended are not counted, there are ever more of them.
SELECT status, count(*) FROM bookings WHERE status IN ('holding', 'awaiting_payment') GROUP BY status
UNION ALL
SELECT status, count(*) FROM bookings WHERE status = 'pending' GROUP BY status
UNION ALL
SELECT status, count(*) FROM bookings WHERE status IN ('confirmed', 'in_progress') GROUP BY status

-- name: late
SELECT
    (
        SELECT count(*) FROM bookings
        WHERE status IN ('holding', 'awaiting_payment') AND hold_expires_at > clock_timestamp()
    ) AS holds_live,
    (
        SELECT count(*) FROM notifications
        WHERE status IN ('pending', 'sending') AND COALESCE(due_at, created_at) < clock_timestamp() - interval '1 minute'
    ) AS notices_overdue,
    refunds.owed AS refunds_owed,
    refunds.age AS oldest_refund_seconds
FROM (
    SELECT
        count(*) AS owed,
        COALESCE(EXTRACT(EPOCH FROM clock_timestamp() - min(requested_at)), 0)::double precision AS age
    FROM refunds WHERE refunded_at IS NULL
) AS refunds

-- name: unapplied_webhooks
SELECT
    count(*) AS webhooks_unapplied,
    COALESCE(EXTRACT(EPOCH FROM clock_timestamp() - min(received_at)), 0)::double precision AS oldest_webhook_seconds
FROM webhook_inbox WHERE applied_at IS NULL

-- name: news
-- Entries are counted, not compared by id: ids are given before a transaction commits, so a lower one may come later.
SELECT followed.booking_id, (SELECT count(*) FROM booking_events AS e WHERE e.booking_id = followed.booking_id) AS entries
FROM unnest($1::uuid[]) AS followed (booking_id)
