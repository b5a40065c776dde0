-- What `availability` searches in: mechanics with rules of every kind, and as many reservations as are asked for, most of
-- them in the past. Written as the superuser, before anything is measured.

-- name: services
-- By how many mechanics they are offered. 45 minutes and a buffer of 15, on the grid of a quarter of an hour.
INSERT INTO services (id, slug, name, kind, duration_minutes, buffer_after_minutes, step_minutes)
SELECT id, 'bench-' || slug, slug, 'video', 45, 15, 15 FROM unnest($1::uuid[], $2::text[]) AS asked (id, slug)

-- name: mechanics
-- In four zones. Horizon and notice let a search see all of its 62 days.
INSERT INTO mechanics (
    id, name, timezone, country, city, postal_code, address, minimum_notice_minutes, horizon_days, holiday_region
)
SELECT
    id, 'Bench ' || number,
    (ARRAY['America/Toronto', 'America/Vancouver', 'America/Halifax', 'America/St_Johns'])[1 + number % 4],
    'CA', 'Toronto', 'M5V 2T6', '310 Front Street West, Toronto', 0, 90, $2
FROM unnest($1::uuid[]) WITH ORDINALITY AS asked (id, number)

-- name: calendar
INSERT INTO holiday_calendars (region, since, through, refreshed_on)
VALUES ('CA-ON', $1::date - 400, $1::date + 400, $1::date)

-- name: holidays
-- About as many as there are, one of them within two weeks.
INSERT INTO public_holidays (region, day, name)
SELECT 'CA-ON', $1::date + 9 + 30 * month, 'Bench' FROM generate_series(-12, 12) AS month

-- name: offered
INSERT INTO mechanic_services (mechanic_id, service_id) SELECT id, $2 FROM unnest($1::uuid[]) AS id

-- name: hours
-- Two spans a day, from Monday to `$2` (Friday is 4).
INSERT INTO availability_rules (mechanic_id, weekday, start_time, end_time)
SELECT id, weekday, opens, closes
FROM unnest($1::uuid[]) AS id, generate_series(0, $2::integer) AS weekday,
    (VALUES (time '09:00', time '12:00'), (time '13:00', time '17:00')) AS span (opens, closes)

-- name: exceptions
-- A day off and a long evening in the first two weeks.
INSERT INTO date_exceptions (mechanic_id, day, opens, closes)
SELECT id, $2::date + own.day, own.opens, own.closes
FROM unnest($1::uuid[]) AS id, (
    VALUES (4, '{}'::time[], '{}'::time[]), (6, '{12:00}'::time[], '{21:00}'::time[])
) AS own (day, opens, closes)

-- name: time_off
INSERT INTO time_off (mechanic_id, during)
SELECT id, tstzrange($2::timestamptz + interval '20 days', $2::timestamptz + interval '24 days') FROM unnest($1::uuid[]) AS id

-- name: past
-- So many days back, one a day and mechanic: three in four were kept, the others ran out or were called off. In the order in
-- which they were booked, as a table grows.
INSERT INTO slot_reservations (id, booking_id, mechanic_id, starts_at, ends_at, blocked, status, expires_at, created_at)
SELECT
    uuidv7(starts_at - interval '5 days' - now()), uuidv4(), id, starts_at, starts_at + interval '45 minutes',
    tstzrange(starts_at, starts_at + interval '1 hour'),
    (ARRAY['confirmed', 'confirmed', 'confirmed', 'confirmed', 'confirmed', 'confirmed', 'expired', 'cancelled'])[
        1 + (number + days) % 8
    ],
    starts_at - interval '5 days' + interval '15 minutes', starts_at - interval '5 days'
FROM generate_series($3::integer, 1, -1) AS days, unnest($1::uuid[]) WITH ORDINALITY AS asked (id, number),
    LATERAL (SELECT $2::timestamptz + make_interval(days => -days, hours => (14 + number % 6)::integer)) AS session (starts_at)

-- name: future
-- A few for each; one in ten is a hold that nobody has paid yet.
INSERT INTO slot_reservations (id, booking_id, mechanic_id, starts_at, ends_at, blocked, status, expires_at)
SELECT
    uuidv7(), uuidv4(), id, starts_at, starts_at + interval '45 minutes', tstzrange(starts_at, starts_at + interval '1 hour'),
    CASE number % 10 WHEN 0 THEN 'reserved' ELSE 'confirmed' END, now() + interval '1 day'
FROM unnest(ARRAY[1, 3, 8, 30]) AS days, unnest($1::uuid[]) WITH ORDINALITY AS asked (id, number),
    LATERAL (SELECT $2::timestamptz + make_interval(days => days, hours => (14 + number % 6)::integer)) AS session (starts_at)

-- name: busy
-- 200 in 62 days.
INSERT INTO slot_reservations (id, booking_id, mechanic_id, starts_at, ends_at, blocked, status, expires_at)
SELECT
    uuidv7(), uuidv4(), $1, starts_at, starts_at + interval '45 minutes', tstzrange(starts_at, starts_at + interval '1 hour'),
    'confirmed', now()
FROM generate_series(0, 61) AS days, unnest(ARRAY[14, 16, 18, 20]) AS hours,
    LATERAL (SELECT $2::timestamptz + make_interval(days => days, hours => hours)) AS session (starts_at)
ORDER BY hours, starts_at
LIMIT 200

-- name: guards
-- The indexes and constraints of the table that can be made again when it is full.
SELECT
    format('ALTER TABLE slot_reservations DROP CONSTRAINT %I', conname) AS dropped,
    format('ALTER TABLE slot_reservations ADD CONSTRAINT %I %s', conname, pg_get_constraintdef(oid)) AS made
FROM pg_constraint
WHERE conrelid = 'slot_reservations'::regclass AND contype = 'x'
UNION ALL
SELECT format('DROP INDEX %s', indexrelid::regclass), pg_get_indexdef(indexrelid)
FROM pg_index
WHERE indrelid = 'slot_reservations'::regclass AND NOT indisprimary
    AND NOT EXISTS (SELECT FROM pg_constraint WHERE conindid = indexrelid)
