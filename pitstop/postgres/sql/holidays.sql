-- Public holidays of the regions that mechanics have named.

-- name: is_fresh
-- Looked up today.
SELECT region FROM holiday_calendars WHERE region = $1 AND refreshed_on >= $2

-- name: keep_calendar
INSERT INTO holiday_calendars (region, since, through, refreshed_on) VALUES ($1, $2, $3, $4)
ON CONFLICT (region) DO UPDATE
SET through = greatest(holiday_calendars.through, EXCLUDED.through), refreshed_on = EXCLUDED.refreshed_on

-- name: drop_holidays
-- What was a holiday and is none any more, from that day on; what is past stays.
DELETE FROM public_holidays WHERE region = $1 AND day >= $2 AND NOT (day = ANY($3::date[]))

-- name: add_holidays
INSERT INTO public_holidays (region, day, name)
SELECT $1, day, name FROM unnest($2::date[], $3::text[]) AS holidays (day, name)
ON CONFLICT (region, day) DO NOTHING

-- name: stale_regions
-- In use, and not looked up today.
SELECT region FROM holiday_calendars AS c
WHERE refreshed_on < $1 AND EXISTS (SELECT FROM mechanics AS m WHERE m.holiday_region = c.region)
ORDER BY region
LIMIT $2

-- name: put_off
-- Looked for and not found: tomorrow again.
UPDATE holiday_calendars SET refreshed_on = $2 WHERE region = $1
