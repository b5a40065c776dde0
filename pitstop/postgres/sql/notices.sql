-- Mails that are owed. A mail is claimed before it is sent and marked after: a crash between the two shows as a second attempt.

-- name: claim_notice
-- Claims the mail for sending unless it was sent, or no longer holds: a reminder and a confirmation want a booking that
-- stands, a reminder also its present time, which has not begun; none goes to somebody who was erased. Brings back what the mail is written from.
WITH judged AS (
    SELECT
        o.key,
        b.erased_at IS NULL AND CASE o.kind
            WHEN 'reminder' THEN b.status = 'confirmed' AND b.starts_at > $2 AND o.move = b.moves
            WHEN 'rescheduled' THEN b.status IN ('confirmed', 'in_progress') AND o.move = b.moves
            WHEN 'handed_over' THEN b.status = 'confirmed'
            WHEN 'at_risk' THEN b.status = 'confirmed' AND EXISTS (
                SELECT FROM booking_flags AS f WHERE f.booking_id = b.id AND f.resolved_at IS NULL
            )
            WHEN 'proposal' THEN b.status = 'confirmed' AND EXISTS (
                SELECT FROM proposals AS a WHERE a.booking_id = b.id AND a.status = 'open' AND a.expires_at > $2
            )
            WHEN 'workshop_request' THEN b.status = 'confirmed' AND b.workshop_status = 'awaiting'
            WHEN 'workshop_asked' THEN b.status = 'confirmed' AND b.workshop_status = 'awaiting'
            WHEN 'workshop_proposal' THEN b.status = 'confirmed' AND b.workshop_status = 'proposed' AND EXISTS (
                SELECT FROM proposals AS a WHERE a.booking_id = b.id AND a.status = 'open' AND a.expires_at > $2
            )
            WHEN 'confirmation' THEN b.status IN ('confirmed', 'in_progress', 'completed')
            ELSE TRUE
        END AS stands
    FROM notifications AS o
    JOIN bookings AS b ON b.id = o.booking_id
    WHERE o.key = $1
),
claimed AS (
    UPDATE notifications AS n SET
        attempts = n.attempts + CASE WHEN judged.stands THEN 1 ELSE 0 END,
        status = CASE WHEN judged.stands THEN 'sending' ELSE 'skipped' END,
        detail = CASE WHEN judged.stands THEN NULL ELSE 'the booking no longer stands, or its session has begun' END
    FROM judged
    WHERE n.key = judged.key AND n.status IN ('pending', 'sending')
    RETURNING n.booking_id, n.status, n.attempts, n.kind
)
SELECT
    claimed.status AS state, claimed.attempts, claimed.kind AS notice_kind, w.name AS workshop_name, w.email AS workshop_email,
    b.id AS booking_id, s.kind, s.name AS service_name, p.name AS plan_name, m.name AS mechanic_name,
    b.customer_name, b.customer_email, b.starts_at AS start, b.ends_at AS "end", b.timezone AS customer_timezone,
    m.timezone AS venue_timezone, CASE s.kind WHEN 'in_person' THEN COALESCE(w.address, m.address) END AS venue_address,
    b.amount, b.currency, b.invite_sequence,
    -- What goes back, whether or not Stripe has accepted it yet.
    COALESCE((SELECT sum(r.amount) FROM refunds AS r WHERE r.booking_id = b.id), 0)::bigint AS amount_refunded
FROM claimed
JOIN bookings AS b ON b.id = claimed.booking_id
JOIN services AS s ON s.id = b.service_id
JOIN plans AS p ON p.id = b.plan_id
JOIN mechanics AS m ON m.id = b.mechanic_id
LEFT JOIN slot_reservations AS held
    ON held.booking_id = b.id AND held.status IN ('reserved', 'confirmed') AND held.proposal_id IS NULL
LEFT JOIN bays ON bays.id = held.bay_id
LEFT JOIN workshops AS w ON w.id = COALESCE(bays.workshop_id, m.workshop_id)

-- name: mark_sent
WITH sent AS (
    -- `failed`: the last try had been given up when it got through.
    UPDATE notifications SET status = 'sent', sent_at = $2 WHERE key = $1 AND status IN ('sending', 'failed')
    RETURNING booking_id, kind
)
INSERT INTO booking_events (booking_id, at, event, detail)
SELECT booking_id, $2, 'mail_sent', jsonb_build_object('kind', kind, 'key', $1::text) FROM sent

-- name: mark_not_sent
-- The mail server refused it for good.
WITH failed AS (
    UPDATE notifications SET status = 'failed', detail = $3 WHERE key = $1 AND status = 'sending' RETURNING booking_id, kind
)
INSERT INTO booking_events (booking_id, at, event, detail)
SELECT booking_id, $2, 'mail_not_sent', jsonb_build_object('kind', kind, 'why', $3::text) FROM failed

-- name: note_failure
UPDATE notifications SET detail = $2 WHERE key = $1 AND status = 'sending'
