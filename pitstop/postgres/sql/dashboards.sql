-- A workshop's dashboard, as the role `pitstop_api`. $1 is the workshop, $2 and $3 bound the days, as instants.

-- name: become
SELECT set_config('pitstop.role', $1, TRUE), set_config('pitstop.subject', $2, TRUE)

-- name: workshop
-- The days as instants of the workshop's zone; without them: today. No row for one that the caller does not keep.
SELECT
    w.timezone, span.first, span.last,
    span.first::timestamp AT TIME ZONE w.timezone AS since, (span.last + 1)::timestamp AT TIME ZONE w.timezone AS until
FROM workshops AS w
CROSS JOIN LATERAL (
    SELECT
        COALESCE($2::date, ($4::timestamptz AT TIME ZONE w.timezone)::date) AS first,
        COALESCE($3::date, $2::date, ($4::timestamptz AT TIME ZONE w.timezone)::date) AS last
) AS span
WHERE w.id = $1 AND (caller_role() = 'operator' OR w.id = (SELECT kept_workshop()))

-- name: bookings
-- By bay and start. The bay is that of the last reservation, which may have been let go.
SELECT
    b.id AS booking_id, b.version, b.status, b.workshop_status, b.workshop_answer_by, bays.id AS bay_id, bays.name AS bay,
    b.mechanic_id, m.name AS mechanic, s.name AS service, b.customer_name AS customer, b.starts_at AS start, b.ends_at AS "end"
FROM bookings AS b
JOIN mechanics AS m ON m.id = b.mechanic_id
JOIN services AS s ON s.id = b.service_id
LEFT JOIN LATERAL (
    SELECT r.bay_id FROM slot_reservations AS r
    WHERE r.booking_id = b.id AND r.proposal_id IS NULL AND r.supplement_id IS NULL
    ORDER BY r.created_at DESC LIMIT 1
) AS held ON TRUE
LEFT JOIN bays ON bays.id = held.bay_id
WHERE b.workshop_id = $1 AND b.starts_at >= $2 AND b.starts_at < $3
    AND b.status NOT IN ('holding', 'awaiting_payment', 'expired', 'payment_failed')
ORDER BY bays.name NULLS LAST, bays.id, b.starts_at, b.id
LIMIT $4

-- name: waiting
SELECT
    b.id AS booking_id, b.version, b.status, b.workshop_status, b.workshop_answer_by, bays.id AS bay_id, bays.name AS bay,
    b.mechanic_id, m.name AS mechanic, s.name AS service, b.customer_name AS customer, b.starts_at AS start, b.ends_at AS "end"
FROM bookings AS b
JOIN mechanics AS m ON m.id = b.mechanic_id
JOIN services AS s ON s.id = b.service_id
LEFT JOIN slot_reservations AS held ON held.booking_id = b.id AND held.status = 'confirmed'
LEFT JOIN bays ON bays.id = held.bay_id
WHERE b.workshop_id = $1 AND b.status = 'confirmed' AND b.workshop_status IN ('awaiting', 'proposed')
ORDER BY b.workshop_answer_by, b.id
LIMIT $2

-- name: bays
-- A bay can be used while one of the workshop's mechanics works.
WITH hours AS MATERIALIZED (
    SELECT COALESCE(sum(extract(epoch FROM upper(span) - lower(span))) / 60, 0)::integer AS minutes
    FROM unnest((
        SELECT range_agg(each) * tstzmultirange(tstzrange($2, $3))
        FROM open_hours(ARRAY(SELECT id FROM mechanics WHERE workshop_id = $1), tstzrange($2, $3)) AS open
        CROSS JOIN LATERAL unnest(open.hours) AS each
    )) AS span
)
SELECT
    bays.id AS bay_id, bays.name, bays.active, used.minutes AS booked_minutes, hours.minutes AS open_minutes,
    round(used.minutes::numeric / NULLIF(hours.minutes, 0), 4)::float8 AS utilisation
FROM bays
CROSS JOIN hours
CROSS JOIN LATERAL (
    SELECT COALESCE(sum(
        extract(epoch FROM LEAST(r.ends_at, $3::timestamptz) - GREATEST(r.starts_at, $2::timestamptz))
    ) / 60, 0)::integer AS minutes
    FROM slot_reservations AS r
    WHERE r.bay_id = bays.id AND r.blocked && tstzrange($2, $3) AND r.status IN ('reserved', 'confirmed')
        AND r.status = 'confirmed' AND r.starts_at < $3 AND r.ends_at > $2
) AS used
WHERE bays.workshop_id = $1
ORDER BY bays.name, bays.id

-- name: days
-- Each day of the zone ($4, from $5 to $6), by when the sessions start. What stays of the money is in each currency by itself.
WITH booked AS MATERIALIZED (
    SELECT (b.starts_at AT TIME ZONE $4)::date AS day, b.status, b.currency, b.kept_amount
    FROM bookings AS b
    WHERE b.workshop_id = $1 AND b.starts_at >= $2 AND b.starts_at < $3
        AND b.status NOT IN ('holding', 'awaiting_payment', 'expired', 'payment_failed')
),
kept AS (
    SELECT day, jsonb_agg(jsonb_build_object('currency', currency, 'amount', amount) ORDER BY currency) AS revenue
    FROM (SELECT day, currency, COALESCE(sum(kept_amount), 0)::bigint AS amount FROM booked GROUP BY day, currency) AS sums
    GROUP BY day
),
counted AS (
    SELECT
        day, count(*) AS bookings, count(*) FILTER (WHERE status = 'completed') AS completed,
        count(*) FILTER (WHERE status IN ('cancelled', 'refunded')) AS cancelled, count(*) FILTER (WHERE status = 'no_show') AS no_show
    FROM booked GROUP BY day
)
SELECT
    each::date AS day, COALESCE(counted.bookings, 0) AS bookings, COALESCE(counted.completed, 0) AS completed,
    COALESCE(counted.cancelled, 0) AS cancelled, COALESCE(counted.no_show, 0) AS no_show, COALESCE(kept.revenue, '[]') AS revenue
FROM generate_series($5::date::timestamp, $6::date::timestamp, interval '1 day') AS each
LEFT JOIN counted ON counted.day = each::date
LEFT JOIN kept ON kept.day = each::date
ORDER BY each

-- name: referrals
SELECT count(*) AS made, count(*) FILTER (WHERE EXISTS (
    SELECT FROM bookings AS b
    WHERE b.referral_id = r.id AND b.status NOT IN ('expired', 'payment_failed', 'cancelled', 'refunded')
)) AS booked
FROM referrals AS r
WHERE r.workshop_id = $1 AND r.made_at >= $2 AND r.made_at < $3
