-- Notices that are owed, by mail and by text message. One is claimed before it is sent and marked after: a crash between the
-- two shows as a further attempt.

-- name: number_of
SELECT b.customer_phone FROM notifications AS n JOIN bookings AS b ON b.id = n.booking_id WHERE n.key = $1

-- name: claim_notice
-- Claims the notice for sending unless it was sent, or no longer holds: what is said of a booking wants one that stands, a
-- reminder also one that has not begun; none goes to somebody who was erased. That the customer is expected is said of none for
-- which a workshop's word is waited for: it brings a confirmation of its own. A text message goes to a number whose owner
-- wants that: $3 are the digests under which a wish for none may be on record. Brings back what the notice is written from.
WITH judged AS (
    SELECT
        o.key, o.claimed_at AS since,
        CASE
            WHEN b.erased_at IS NOT NULL OR NOT CASE o.kind
                WHEN 'reminder' THEN b.status = 'confirmed' AND b.starts_at > $2 AND o.move = b.moves
                WHEN 'confirmation' THEN b.status IN ('confirmed', 'in_progress', 'completed')
                WHEN 'rescheduled' THEN b.status IN ('confirmed', 'in_progress') AND o.move = b.moves
                WHEN 'difference_unpaid' THEN b.status = 'confirmed' AND b.starts_at > $2 AND o.move = b.moves
                WHEN 'handed_over' THEN b.status IN ('confirmed', 'in_progress', 'completed')
                WHEN 'taken' THEN b.status IN ('in_progress', 'completed')
                WHEN 'at_risk' THEN b.status = 'confirmed' AND b.starts_at > $2 AND EXISTS (
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
                WHEN 'waiver_request' THEN
                    b.status IN ('confirmed', 'pending') AND (b.starts_at IS NULL OR b.starts_at > $2)
                    AND o.move = b.moves AND waiver_missing(b.id)
                WHEN 'waitlist_offer' THEN b.status IN ('holding', 'awaiting_payment') AND b.hold_expires_at > $2
                ELSE TRUE
            END THEN 'the booking no longer stands, or its session has begun'
            WHEN o.kind IN ('reminder', 'confirmation') AND b.status = 'confirmed'
                AND b.workshop_status IN ('awaiting', 'proposed') THEN 'the workshop has not confirmed it yet'
            WHEN o.channel = 'sms' AND (b.customer_phone IS NULL OR NOT b.sms_consent)
                THEN 'the customer has given no number, or no consent'
            WHEN o.channel = 'sms' AND EXISTS (SELECT FROM text_opt_outs WHERE number_digest = ANY($3::bytea[]))
                THEN 'the customer has replied STOP'
        END AS why_not
    FROM notifications AS o
    JOIN bookings AS b ON b.id = o.booking_id
    WHERE o.key = $1
),
claimed AS (
    UPDATE notifications AS n SET
        attempts = n.attempts + CASE WHEN judged.why_not IS NULL THEN 1 ELSE 0 END,
        status = CASE WHEN judged.why_not IS NULL THEN 'sending' ELSE 'skipped' END,
        -- The first claim of this sending, by the clock of the world outside: a lost answer is looked for from then on.
        claimed_at = COALESCE(n.claimed_at, clock_timestamp()),
        tried_at = clock_timestamp(),
        detail = judged.why_not
    FROM judged
    WHERE n.key = judged.key AND n.status IN ('pending', 'sending')
    RETURNING
        n.booking_id, n.status, n.attempts, n.channel, n.kind, n.sending, n.message_sid, n.about, judged.since
)
SELECT
    claimed.status AS state, claimed.attempts, claimed.channel, claimed.sending, claimed.message_sid, claimed.since,
    w.name AS workshop_name, w.email AS workshop_email, w.language AS workshop_language, recommended.start AS recommended_start,
    $1::text AS key,
    claimed.kind AS notice_kind, claimed.about AS detail, b.language, b.customer_phone,
    b.id AS booking_id, s.kind, s.name AS service_name, p.name AS plan_name, COALESCE(m.name, '') AS mechanic_name,
    b.customer_name, b.customer_email, b.timezone AS customer_timezone,
    COALESCE(CASE s.kind WHEN 'in_person' THEN w.timezone END, m.timezone, b.timezone) AS venue_timezone,
    -- Nobody has taken it: the times that it would have had at once.
    b.mechanic_id IS NULL AS untaken, COALESCE(b.starts_at, b.created_at) AS start,
    COALESCE(b.ends_at, b.created_at + make_interval(mins => b.duration_minutes)) AS "end",
    CASE s.kind WHEN 'in_person' THEN COALESCE(w.address, m.address) END AS venue_address,
    b.amount, b.currency, b.invite_sequence,
    CASE WHEN b.status = 'confirmed' AND b.workshop_status IN ('awaiting', 'proposed') THEN b.workshop_status END AS unanswered,
    b.workshop_answer_by AS answer_by,
    -- Nor that the customer is expected, by a mechanic who is away.
    EXISTS (
        SELECT FROM booking_flags AS f
        WHERE f.booking_id = b.id AND f.resolved_at IS NULL AND f.mechanic_id = b.mechanic_id AND b.status = 'confirmed'
    ) AS mechanic_away,
    -- What goes back counts from when it is owed, and what does not go back stays. What a change gave back was told then.
    paid.amount AS amount_paid, back.before AS amount_returned, back.amount - back.before AS amount_refunded,
    greatest(paid.amount - back.amount, 0) AS amount_kept
FROM claimed
JOIN bookings AS b ON b.id = claimed.booking_id
JOIN services AS s ON s.id = b.service_id
JOIN plans AS p ON p.id = b.plan_id
LEFT JOIN mechanics AS m ON m.id = b.mechanic_id
CROSS JOIN LATERAL (
    SELECT
        COALESCE(sum(r.amount), 0)::bigint AS amount,
        COALESCE(sum(r.amount) FILTER (
            WHERE r.refunded_at IS NOT NULL AND r.reason IN ('price_difference', 'supplement_not_used')
        ), 0)::bigint AS before
    FROM refunds AS r WHERE r.booking_id = b.id
) AS back
CROSS JOIN LATERAL (
    SELECT COALESCE(sum(p.amount), 0)::bigint AS amount FROM payments AS p WHERE p.booking_id = b.id AND p.paid_at IS NOT NULL
) AS paid
LEFT JOIN slot_reservations AS held
    ON held.booking_id = b.id AND held.status IN ('reserved', 'confirmed') AND held.proposal_id IS NULL
    AND held.supplement_id IS NULL
LEFT JOIN bays ON bays.id = held.bay_id
LEFT JOIN workshops AS w ON w.id = COALESCE(bays.workshop_id, b.workshop_id, m.workshop_id)
LEFT JOIN referrals AS recommended
    ON claimed.kind = 'referral' AND recommended.booking_id = b.id AND recommended.id::text = split_part($1::text, '/', 3)

-- name: mark_sent
WITH sent AS (
    -- `failed`: the last try had been given up when it got through. `skipped`: it was of no use any more, a moment too late.
    UPDATE notifications SET status = 'sent', sent_at = $2, message_sid = COALESCE($3, message_sid), detail = NULL
    WHERE key = $1 AND sending = $4 AND status IN ('sending', 'failed', 'skipped')
    RETURNING booking_id, kind, channel
)
INSERT INTO booking_events (booking_id, at, event, detail)
SELECT
    booking_id, $2, CASE channel WHEN 'sms' THEN 'text_sent' ELSE 'mail_sent' END,
    jsonb_build_object('kind', kind, 'key', $1::text)
FROM sent

-- name: mark_not_sent
-- It was refused for good, or given up. $4: in which sending; null: in whichever it is.
WITH failed AS (
    UPDATE notifications SET status = 'failed', detail = $3
    WHERE key = $1 AND status = 'sending' AND sending = COALESCE($4, sending)
    RETURNING booking_id, kind, channel
)
INSERT INTO booking_events (booking_id, at, event, detail)
SELECT
    booking_id, $2, CASE channel WHEN 'sms' THEN 'text_not_sent' ELSE 'mail_not_sent' END,
    jsonb_build_object('kind', kind, 'why', $3::text)
FROM failed

-- name: note_opt_out
INSERT INTO text_opt_outs (number_digest) VALUES ($1) ON CONFLICT (number_digest) DO NOTHING

-- name: taken_by_others
-- Which of these messages are on record for other notices of the booking, or for this one's earlier sendings.
SELECT n.message_sid
FROM notifications AS n
WHERE n.booking_id = (SELECT o.booking_id FROM notifications AS o WHERE o.key = $1) AND n.message_sid = ANY($2::text[])

-- name: note_failure
UPDATE notifications SET detail = $2 WHERE key = $1 AND sending = $3 AND status = 'sending'
