-- Bookings that stand though their mechanic will not be there: flagged by the mechanic's change of rules, or by the sweep.

-- name: raise_flags
-- In the order of their ids, so that two who raise some at once never wait for each other.
INSERT INTO booking_flags (booking_id, kind, mechanic_id, reason, since, raised_by)
SELECT away.booking_id, 'mechanic_away', $1, away.reason, $4, 'mechanic'
FROM unnest($2::uuid[], $3::text[]) AS away (booking_id, reason)
ORDER BY away.booking_id
ON CONFLICT DO NOTHING
RETURNING booking_id

-- name: why_away
SELECT why_away($1, tstzrange($2, $3))

-- name: take_back_flags
-- Those of the mechanic's bookings that its rules allow again.
UPDATE booking_flags SET resolved_at = $3, resolution = 'taken_back', is_news = TRUE
WHERE mechanic_id = $1 AND resolved_at IS NULL AND booking_id <> ALL($2::uuid[])
RETURNING booking_id

-- name: flags_with_news
SELECT id, reason, raised_by, noted_at, resolved_at, resolution FROM booking_flags
WHERE booking_id = $1 AND is_news
ORDER BY since, id
FOR UPDATE

-- name: flags_noted
UPDATE booking_flags SET is_news = FALSE, noted_at = COALESCE(noted_at, $2) WHERE booking_id = $1 AND is_news

-- name: is_flagged
SELECT EXISTS (SELECT FROM booking_flags WHERE booking_id = $1 AND resolved_at IS NULL)

-- name: resolve_flags
UPDATE booking_flags SET resolved_at = $3, resolution = $2, is_news = FALSE WHERE booking_id = $1 AND resolved_at IS NULL

-- name: flag_offline
-- Being offline concerns what starts soon: as time goes by, that is more.
INSERT INTO booking_flags (booking_id, kind, mechanic_id, reason, since, raised_by)
SELECT b.id, 'mechanic_away', b.mechanic_id, 'offline', $1, 'sweep'
FROM bookings AS b
JOIN mechanics AS m ON m.id = b.mechanic_id
WHERE b.status = 'confirmed' AND NOT m.online AND b.starts_at > $1 AND b.starts_at <= $1 + $2::interval
ORDER BY b.id
LIMIT $3
ON CONFLICT DO NOTHING
RETURNING booking_id

-- name: lower_late_flags
-- Flags that came when their booking was ending, or was handed over.
UPDATE booking_flags AS f SET resolved_at = $1, resolution = 'ended', is_news = FALSE
FROM bookings AS b
WHERE f.resolved_at IS NULL AND b.id = f.booking_id
    AND (b.status NOT IN ('holding', 'awaiting_payment', 'confirmed') OR b.mechanic_id <> f.mechanic_id)
RETURNING f.id

-- name: lower_stale_flags
-- Of mechanics who were coming online in the moment in which the sweep took them for away.
UPDATE booking_flags AS f SET resolved_at = $1, resolution = 'taken_back', is_news = TRUE
FROM mechanics AS m
WHERE f.resolved_at IS NULL AND f.reason = 'offline' AND m.id = f.mechanic_id AND m.online

-- name: unheard
-- Bookings whose run has taken no notice of their flag yet, or of a change that was decided on before $2, or of a mail or a
-- refund that is owed since then and was not tried after that, or of a difference whose time to pay was over then: it was decided
-- on, and begun, and the run that did so has lost it. Each part has an index of its own.
WITH unheard AS (
    SELECT f.booking_id FROM booking_flags AS f JOIN bookings AS o ON o.id = f.booking_id AND o.status = 'confirmed'
    WHERE f.is_news
    UNION
    SELECT booking_id FROM notifications
    WHERE status IN ('pending', 'sending') AND COALESCE(due_at, created_at) < $2
        AND (status = 'pending' OR COALESCE(tried_at, created_at) < $2)
    UNION
    SELECT booking_id FROM booking_changes WHERE outcome IS NOT NULL AND heard_at IS NULL AND decided_at < $2
    UNION
    SELECT booking_id FROM refunds
    WHERE refunded_at IS NULL AND requested_at < $2 AND COALESCE(tried_at, requested_at) < $2
    UNION
    SELECT booking_id FROM supplements WHERE status = 'open' AND expires_at < $2
    UNION
    SELECT d.booking_id FROM payments AS d JOIN supplements AS u ON u.id = d.supplement_id
    WHERE d.supplement_id IS NOT NULL AND d.paid_at IS NULL AND d.status <> 'canceled' AND u.closed_at < $2
)
SELECT b.id AS booking_id, encode(b.request_fingerprint, 'hex') AS fingerprint, b.mechanic_id, b.customer_id, b.starts_at, b.status
FROM bookings AS b
JOIN unheard ON unheard.booking_id = b.id
ORDER BY b.starts_at
LIMIT $1

-- name: told
UPDATE booking_changes SET heard_at = clock_timestamp()
WHERE booking_id = $1 AND outcome IS NOT NULL AND heard_at IS NULL AND decided_at < $2
