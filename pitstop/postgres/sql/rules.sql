-- A mechanic's own rules, as the role `pitstop_api`: row-level security lets only the mechanic itself change them.

-- name: become
SELECT set_config('pitstop.role', $1, TRUE), set_config('pitstop.subject', $2, TRUE)

-- name: lock_rules
-- The lock that a hold takes (keep_still): whichever comes second sees what the first has done. What the lock protects is
-- looked at in later statements, which see what was committed while this one waited.
SELECT id FROM mechanics WHERE id = $1 FOR NO KEY UPDATE

-- name: mechanic
SELECT id FROM mechanics WHERE id = $1

-- name: schedule
SELECT
    timezone, minimum_notice_minutes, horizon_days, max_sessions_per_day, holiday_region,
    ($2::timestamptz AT TIME ZONE timezone)::date AS today
FROM mechanics WHERE id = $1

-- name: weekly
SELECT weekday, start_time AS opens, end_time AS closes
FROM availability_rules WHERE mechanic_id = $1
ORDER BY weekday, start_time

-- name: exceptions
-- From yesterday on: its hours may run into today.
SELECT day, opens, closes FROM date_exceptions WHERE mechanic_id = $1 AND day >= $2::date - 1 ORDER BY day

-- name: services
SELECT service_id, buffer_before_minutes, buffer_after_minutes
FROM mechanic_services WHERE mechanic_id = $1
ORDER BY service_id

-- name: set_rules
UPDATE mechanics SET minimum_notice_minutes = $2, horizon_days = $3 WHERE id = $1

-- name: set_timezone
-- A trigger looks whether the database knows it.
UPDATE mechanics SET timezone = $2 WHERE id = $1 AND timezone <> $2

-- name: set_daily_limit
UPDATE mechanics SET max_sessions_per_day = $2 WHERE id = $1

-- name: set_holiday_region
UPDATE mechanics SET holiday_region = $2 WHERE id = $1

-- name: clear_weekly
DELETE FROM availability_rules WHERE mechanic_id = $1

-- name: add_weekly
INSERT INTO availability_rules (mechanic_id, weekday, start_time, end_time)
SELECT $1, weekday, opens, closes FROM unnest($2::smallint[], $3::time[], $4::time[]) AS spans (weekday, opens, closes)

-- name: clear_exceptions
DELETE FROM date_exceptions WHERE mechanic_id = $1

-- name: add_exception
INSERT INTO date_exceptions (mechanic_id, day, opens, closes)
SELECT id, $2::date, $3::time[], $4::time[] FROM mechanics
-- What is over is dropped, so that a schedule that was read before midnight can be sent back after it.
WHERE id = $1 AND $2 >= ($5::timestamptz AT TIME ZONE timezone)::date - 1

-- name: known_services
SELECT id FROM services WHERE id = ANY($1::uuid[])

-- name: clear_services
DELETE FROM mechanic_services WHERE mechanic_id = $1

-- name: add_services
INSERT INTO mechanic_services (mechanic_id, service_id, buffer_before_minutes, buffer_after_minutes)
SELECT $1, service_id, before, after
FROM unnest($2::uuid[], $3::integer[], $4::integer[]) AS offered (service_id, before, after)

-- name: set_online
UPDATE mechanics SET online = $2 WHERE id = $1

-- name: time_off_of_span
SELECT id, reason FROM time_off WHERE mechanic_id = $1 AND during = tstzrange($2, $3)

-- name: add_time_off
INSERT INTO time_off (mechanic_id, during, reason) VALUES ($1, tstzrange($2, $3), $4) RETURNING id, reason

-- name: remove_time_off
DELETE FROM time_off WHERE mechanic_id = $1 AND id = $2 RETURNING id

-- name: list_time_off
-- By start; the cursor is the last row of the page before.
SELECT id, lower(during) AS start, upper(during) AS "end", reason
FROM time_off
WHERE mechanic_id = $1
    AND during && tstzrange($2, $3)
    AND ($4::timestamptz IS NULL OR (lower(during), id) > ($4, $5::uuid))
ORDER BY lower(during), id
LIMIT $6

-- name: reservations
-- By start; the cursor is the last row of the page before. A hold that has run out is `expired`, whatever its row says.
SELECT r.id, r.booking_id, r.service_id, r.start, r."end", r.blocked_from, r.blocked_until, r.status, r.hold_expires_at
FROM (
    SELECT
        s.id, s.booking_id, COALESCE(u.service_id, b.service_id) AS service_id, s.starts_at AS start, s.ends_at AS "end",
        lower(s.blocked) AS blocked_from, upper(s.blocked) AS blocked_until,
        COALESCE(u.expires_at, b.hold_expires_at) AS hold_expires_at,
        CASE WHEN s.status = 'reserved' AND s.expires_at <= $7 THEN 'expired' ELSE s.status END AS status
    FROM slot_reservations AS s
    JOIN bookings AS b ON b.id = s.booking_id
    LEFT JOIN supplements AS u ON u.id = s.supplement_id
    WHERE s.mechanic_id = $1
        AND ($2::timestamptz IS NULL OR s.starts_at >= $2)
        AND ($3::timestamptz IS NULL OR s.starts_at < $3)
        AND ($5::timestamptz IS NULL OR (s.starts_at, s.id) > ($5, $6::uuid))
) AS r
WHERE $4::text IS NULL OR r.status = $4
ORDER BY r.start, r.id
LIMIT $8

-- name: offers
SELECT
    booking_id, service_id, service_name, kind, plan_name, duration_minutes, amount, currency, first_name, city, country,
    distance, preferred, offered_at, offered_until
FROM open_offers($1)

-- name: conflicts
-- Live reservations that have not ended and that the rules, as they are now, would not allow. Of a day with too many those
-- that were booked first stand. Notice, horizon and buffers are those of the booking's moment. `held_beside`: a time that is
-- held for a booking which is somewhere else, while its customer thinks about it or pays a difference; no day is full of those.
WITH live AS MATERIALIZED (
    SELECT
        r.booking_id, r.starts_at, r.ends_at, r.created_at, b.status, COALESCE(u.service_id, b.service_id) AS service_id,
        m.online, m.max_sessions_per_day, m.holiday_region, (r.starts_at AT TIME ZONE m.timezone)::date AS day,
        r.proposal_id IS NOT NULL OR r.supplement_id IS NOT NULL AS held_beside
    FROM slot_reservations AS r
    JOIN bookings AS b ON b.id = r.booking_id
    JOIN mechanics AS m ON m.id = r.mechanic_id
    LEFT JOIN supplements AS u ON u.id = r.supplement_id
    WHERE r.mechanic_id = $1 AND r.status IN ('reserved', 'confirmed') AND (r.status = 'confirmed' OR r.expires_at > $2)
        -- No session is longer than a day; those of the first day that count are complete.
        AND r.starts_at > $2::timestamptz - interval '3 days'
),
open AS MATERIALIZED (
    SELECT hours FROM open_hours(ARRAY[$1::uuid], (SELECT tstzrange(min(starts_at), max(ends_at)) FROM live))
),
counted AS (
    SELECT
        live.*,
        count(*) FILTER (WHERE NOT held_beside) OVER (PARTITION BY day ORDER BY created_at, booking_id ROWS UNBOUNDED PRECEDING)
        AS place
    FROM live
),
judged AS (
    SELECT
        c.booking_id, c.starts_at, c.ends_at, c.status, c.held_beside,
        CASE
            WHEN NOT EXISTS (SELECT FROM mechanic_services AS ms WHERE ms.mechanic_id = $1 AND ms.service_id = c.service_id)
                THEN 'not_offered'
            WHEN EXISTS (SELECT FROM time_off AS t WHERE t.mechanic_id = $1 AND t.during && tstzrange(c.starts_at, c.ends_at))
                THEN 'time_off'
            WHEN NOT EXISTS (SELECT FROM open WHERE open.hours @> tstzrange(c.starts_at, c.ends_at))
                THEN CASE WHEN is_day_off($1, c.holiday_region, c.day) THEN 'time_off' ELSE 'outside_hours' END
            WHEN NOT c.held_beside AND c.place > c.max_sessions_per_day THEN 'daily_limit'
            WHEN NOT c.online THEN 'offline'
        END AS reason
    FROM counted AS c
    WHERE c.ends_at > $2
)
SELECT booking_id, starts_at AS start, ends_at AS "end", status, reason, held_beside
FROM judged
WHERE reason IS NOT NULL
ORDER BY starts_at, booking_id
