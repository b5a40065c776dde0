-- migrate:up
SET LOCAL lock_timeout = '5s';
SET LOCAL statement_timeout = '60s';
SET LOCAL ROLE pitstop_owner;

-- One predicate: bookable_starts. Search, check, hold, late payment and move all ask it, for one mechanic or for a thousand
-- in one statement, so that no two answers can differ.
--
-- An instant is open when the local time that a clock on the mechanic's wall shows at it lies in the hours of that day. So a
-- local time that is skipped when clocks go forward is never open, and one that comes twice is open twice, as two instants.
-- The database's own zone data decides; nothing of Python's is asked.
--
-- `at` is the asker's clock: tests and the workflow bring their own, and a hold is judged by one instant throughout.
-- A day added to an instant is 24 hours, whatever the connection's own zone: these functions set it.
-- What reads other people's reservations and time off runs with its owner's rights, and gives back times only.

-- The functions below keep one plan for good: to plan them takes longer than to run them. So they are written for the plan that
-- is right for one mechanic and for a thousand: each table is asked by index, mechanic by mechanic.

-- The first minute of the twelve hours after `before` at which the zone has another distance to UTC than at `before`.
CREATE FUNCTION clock_change(zone text, before timestamptz) RETURNS timestamptz
LANGUAGE sql STABLE SET search_path = pg_catalog, public, pg_temp AS $$
    SELECT min(minute)
    FROM (
        SELECT min(hour) AS hour
        FROM generate_series(before + interval '1 hour', before + interval '12 hours', interval '1 hour') AS hour
        WHERE (hour AT TIME ZONE zone) - (hour - before) <> before AT TIME ZONE zone
    ) AS found
    CROSS JOIN LATERAL generate_series(hour - interval '1 hour', hour, interval '1 minute') AS minute
    WHERE (minute AT TIME ZONE zone) - (minute - before) <> before AT TIME ZONE zone
$$;

-- The zone's distance to UTC in and around `span`: one row from one change of its clocks to the next. Looked for at every half
-- day, then to the minute: no zone changes its clocks twice within twelve hours.
CREATE FUNCTION zone_offsets(zone text, span tstzrange) RETURNS TABLE (valid tstzrange, utc_offset interval)
LANGUAGE sql STABLE SET search_path = pg_catalog, public, pg_temp SET plan_cache_mode = force_generic_plan AS $$
    SELECT tstzrange(since, lead(since) OVER (ORDER BY since)), (since AT TIME ZONE zone) - (since AT TIME ZONE 'UTC')
    FROM (
        SELECT date_trunc('hour', lower(span), 'UTC')
        UNION ALL
        SELECT clock_change(zone, look)
        FROM generate_series(date_trunc('hour', lower(span), 'UTC'), upper(span), interval '12 hours') AS look
        WHERE ((look + interval '12 hours') AT TIME ZONE zone) - interval '12 hours' <> look AT TIME ZONE zone
    ) AS changes (since)
$$;

-- The hours in which these mechanics work, as instants within `span`: weekly hours, and in their place those of a date with
-- hours of its own, or none on a public holiday that is taken off. Spans that touch become one.
CREATE FUNCTION open_hours(candidates uuid[], span tstzrange) RETURNS TABLE (mechanic_id uuid, hours tstzmultirange)
LANGUAGE sql STABLE SECURITY DEFINER
SET search_path = pg_catalog, public, pg_temp SET timezone = 'UTC' SET plan_cache_mode = force_generic_plan AS $$
    WITH who AS MATERIALIZED (
        -- From the day before: its hours may run over midnight.
        SELECT
            id, timezone, holiday_region, first_day, (upper(span) AT TIME ZONE timezone)::date AS last_day,
            EXTRACT(isodow FROM first_day)::integer - 1 AS first_weekday
        FROM mechanics
        CROSS JOIN LATERAL (SELECT (lower(span) AT TIME ZONE timezone)::date - 1 AS first_day) AS wall
        WHERE id = ANY(candidates)
    ),
    offsets AS MATERIALIZED (
        SELECT zone.timezone, offsets.valid, offsets.utc_offset
        FROM (SELECT DISTINCT timezone FROM who) AS zone CROSS JOIN LATERAL zone_offsets(zone.timezone, span) AS offsets
    )
    SELECT who.id, open.hours
    FROM who
    CROSS JOIN LATERAL (
        SELECT ARRAY(
            SELECT e.day FROM date_exceptions AS e
            WHERE e.mechanic_id = who.id AND e.day BETWEEN who.first_day AND who.last_day + 1
            UNION ALL
            SELECT h.day FROM public_holidays AS h
            WHERE h.region = who.holiday_region AND h.day BETWEEN who.first_day AND who.last_day + 1
        ) AS days
    ) AS special
    CROSS JOIN LATERAL (
        SELECT range_agg(
            o.valid * tstzrange((wall.opens - o.utc_offset) AT TIME ZONE 'UTC', (wall.closes - o.utc_offset) AT TIME ZONE 'UTC')
        ) AS hours
        FROM (
            SELECT who.first_day + ahead AS day, r.start_time AS opens, r.end_time AS closes
            FROM availability_rules AS r
            CROSS JOIN LATERAL generate_series(
                mod(r.weekday + 7 - who.first_weekday, 7), who.last_day - who.first_day, 7
            ) AS ahead
            WHERE r.mechanic_id = who.id AND mod(r.weekday + 7 - who.first_weekday, 7) <= who.last_day - who.first_day
                AND who.first_day + ahead <> ALL(special.days)
            UNION ALL
            SELECT e.day, spans.opens, spans.closes
            FROM date_exceptions AS e
            CROSS JOIN LATERAL unnest(e.opens, e.closes) AS spans (opens, closes)
            WHERE e.mechanic_id = who.id AND e.day BETWEEN who.first_day AND who.last_day
        ) AS stated
        CROSS JOIN LATERAL (
            -- What runs over midnight ends there if the next day has hours of its own.
            SELECT
                day + stated.opens AS opens,
                CASE
                    WHEN stated.closes > stated.opens THEN day + stated.closes
                    WHEN day + 1 = ANY(special.days) THEN day + interval '1 day'
                    ELSE day + stated.closes + interval '1 day'
                END AS closes
        ) AS wall
        CROSS JOIN offsets AS o
        WHERE o.timezone = who.timezone
    ) AS open
    WHERE open.hours IS NOT NULL
$$;

-- The local days of the mechanic's on which there are as many sessions already as they want, as instants around `starts`.
CREATE FUNCTION full_days(mechanic uuid, zone text, most integer, starts tstzmultirange, at timestamptz, moving uuid)
RETURNS tstzmultirange
LANGUAGE sql STABLE SET search_path = pg_catalog, public, pg_temp SET plan_cache_mode = force_generic_plan AS $$
    SELECT COALESCE(range_agg(o.valid * tstzrange(
        (full_day.day - o.utc_offset) AT TIME ZONE 'UTC', (full_day.day + 1 - o.utc_offset) AT TIME ZONE 'UTC'
    )), '{}')
    FROM (
        SELECT (r.starts_at AT TIME ZONE zone)::date AS day
        FROM slot_reservations AS r
        WHERE r.mechanic_id = mechanic
            AND r.starts_at BETWEEN lower(starts) - interval '2 days' AND upper(starts) + interval '2 days'
            AND r.status IN ('reserved', 'confirmed') AND (r.status = 'confirmed' OR r.expires_at > at)
            AND r.booking_id IS DISTINCT FROM moving
        GROUP BY day
        HAVING count(*) >= most
    ) AS full_day
    CROSS JOIN zone_offsets(zone, range_merge(starts)) AS o
$$;

-- The starts around `starts` for which no bay of the workshop is free: those that are blocked in every one of them.
CREATE FUNCTION without_bay(
    workshop uuid, before interval, after interval, starts tstzmultirange, at timestamptz, moving uuid
) RETURNS tstzmultirange
LANGUAGE sql STABLE SET search_path = pg_catalog, public, pg_temp SET plan_cache_mode = force_generic_plan AS $$
    SELECT COALESCE(range_intersect_agg(bay.starts), '{(,)}')
    FROM bays
    CROSS JOIN LATERAL (
        SELECT COALESCE(range_agg(tstzrange(lower(r.blocked) - after, upper(r.blocked) + before, '()')), '{}') AS starts
        FROM slot_reservations AS r
        WHERE r.bay_id = bays.id AND r.status IN ('reserved', 'confirmed') AND (r.status = 'confirmed' OR r.expires_at > at)
            AND r.blocked && tstzrange(lower(without_bay.starts) - before, upper(without_bay.starts) + after)
            AND r.booking_id IS DISTINCT FROM moving
    ) AS bay
    WHERE bays.workshop_id = workshop AND bays.active
$$;

-- The instants within `span` at which a session of this service may start, for each of these mechanics who offers it and has
-- any, as a multirange, the grid of starts aside. A session lies within open hours; its buffers may reach over their edge, but
-- not into what is blocked. `notice` false: notice and horizon do not matter, for what was paid and comes late. `moving` is a
-- booking that does not stand in its own way.
CREATE FUNCTION bookable_starts(
    service uuid, candidates uuid[], span tstzrange, at timestamptz, notice boolean DEFAULT TRUE, moving uuid DEFAULT NULL
) RETURNS TABLE (mechanic_id uuid, starts tstzmultirange)
LANGUAGE sql STABLE SECURITY DEFINER
SET search_path = pg_catalog, public, pg_temp SET timezone = 'UTC' SET plan_cache_mode = force_generic_plan AS $$
    WITH offer AS MATERIALIZED (
        SELECT
            m.id, m.timezone, m.max_sessions_per_day, m.workshop_id, s.kind = 'in_person' AS needs_bay,
            make_interval(mins => s.duration_minutes) AS duration,
            make_interval(mins => greatest(s.buffer_before_minutes, ms.buffer_before_minutes)) AS before,
            make_interval(mins => s.duration_minutes + greatest(s.buffer_after_minutes, ms.buffer_after_minutes)) AS after,
            -- Two ranges: a notice that is longer than the horizon leaves no time at all, and is no error.
            tstzmultirange(span * CASE WHEN notice THEN
                tstzrange(at + make_interval(mins => m.minimum_notice_minutes), NULL)
                * tstzrange(NULL, at + make_interval(days => m.horizon_days), '[]')
            ELSE tstzrange(at, NULL) END) AS asked
        FROM services AS s
        JOIN mechanic_services AS ms ON ms.service_id = s.id AND ms.mechanic_id = ANY(candidates)
        JOIN mechanics AS m ON m.id = ms.mechanic_id
        WHERE s.id = service AND s.active AND m.online
    )
    SELECT
        offer.id,
        possible.starts - COALESCE(taken.starts, '{}')
        - CASE WHEN offer.max_sessions_per_day IS NULL THEN '{}'
            ELSE full_days(offer.id, offer.timezone, offer.max_sessions_per_day, possible.starts, at, moving) END
        - CASE WHEN offer.needs_bay
            THEN without_bay(offer.workshop_id, offer.before, offer.after, possible.starts, at, moving) ELSE '{}' END
    FROM offer
    JOIN open_hours(ARRAY(SELECT id FROM offer), tstzrange(lower(span), upper(span) + (
        SELECT make_interval(mins => duration_minutes) FROM services WHERE id = service
    ))) AS open ON open.mechanic_id = offer.id
    CROSS JOIN LATERAL (
        SELECT range_agg(tstzrange(lower(free), upper(free) - offer.duration, '[]')) * offer.asked AS starts
        FROM unnest(open.hours - COALESCE((
            SELECT range_agg(during) FROM time_off
            WHERE time_off.mechanic_id = offer.id
                AND during && tstzrange(lower(span), upper(span) + offer.duration)
        ), '{}')) AS free
        WHERE upper(free) - offer.duration >= lower(free)
    ) AS possible
    CROSS JOIN LATERAL (
        -- A start s is blocked by [c, d) when [s - before, s + after) overlaps it, that is for c - after < s < d + before.
        -- Nothing that begins further off reaches so far: sessions and buffers have at most a day each.
        SELECT range_agg(tstzrange(lower(r.blocked) - offer.after, upper(r.blocked) + offer.before, '()')) AS starts
        FROM slot_reservations AS r
        WHERE r.mechanic_id = offer.id
            AND r.starts_at BETWEEN lower(possible.starts) - interval '3 days' AND upper(possible.starts) + interval '3 days'
            AND r.status IN ('reserved', 'confirmed') AND (r.status = 'confirmed' OR r.expires_at > at)
            AND r.booking_id IS DISTINCT FROM moving
    ) AS taken
    WHERE NOT isempty(possible.starts)
$$;

-- Whether a start lies on the service's grid, which is counted from midnight where the mechanic is.
CREATE FUNCTION on_grid(start timestamptz, zone text, step_minutes integer) RETURNS boolean
LANGUAGE sql STABLE SET search_path = pg_catalog, public, pg_temp AS $$
    SELECT mod(EXTRACT(epoch FROM start AT TIME ZONE zone), step_minutes * 60) = 0
$$;

-- The free slots of these mechanics that start within `span` (half-open), on the grid, as runs: slots one step after another
-- from a first to a last.
CREATE FUNCTION free_runs(service uuid, candidates uuid[], span tstzrange, at timestamptz)
RETURNS TABLE (mechanic_id uuid, first_start timestamptz, last_start timestamptz)
LANGUAGE sql STABLE SET search_path = pg_catalog, public, pg_temp SET plan_cache_mode = force_generic_plan AS $$
    WITH bookable AS MATERIALIZED (
        SELECT b.mechanic_id, m.timezone, b.starts
        FROM bookable_starts(service, candidates, span, at) AS b
        JOIN mechanics AS m ON m.id = b.mechanic_id
    ),
    offsets AS MATERIALIZED (
        -- While a zone keeps its distance, its grid has one step after the other from any midnight of its.
        SELECT zone.timezone, tstzmultirange(o.valid) AS valid, timestamptz '2000-01-01 00:00:00+00' - o.utc_offset AS midnight
        FROM (SELECT DISTINCT timezone FROM bookable) AS zone CROSS JOIN LATERAL zone_offsets(zone.timezone, span) AS o
    )
    SELECT bookable.mechanic_id, run.first_start, run.last_start
    FROM bookable
    JOIN offsets ON offsets.timezone = bookable.timezone
    CROSS JOIN (SELECT make_interval(mins => step_minutes) AS step FROM services WHERE id = service) AS grid
    CROSS JOIN LATERAL unnest(bookable.starts * offsets.valid) AS free
    CROSS JOIN LATERAL (
        SELECT
            date_bin(grid.step, lower(free), offsets.midnight) AS first_start,
            date_bin(grid.step, upper(free), offsets.midnight) AS last_start
    ) AS around
    CROSS JOIN LATERAL (
        SELECT
            CASE WHEN free @> around.first_start THEN around.first_start ELSE around.first_start + grid.step END AS first_start,
            CASE WHEN free @> around.last_start THEN around.last_start ELSE around.last_start - grid.step END AS last_start
    ) AS run
    WHERE run.first_start <= run.last_start
$$;

-- Runs that hold the first `most` slots by start, then mechanic, after those up to `after_start` and `after_mechanic`; and
-- some slots more. Cut into windows, so that a page of the slots of a thousand mechanics is found without making all of them.
-- The first is a day at least, in which most have hours; a mechanic has some four slots in an hour, for a third of the day.
CREATE FUNCTION page_of_free_runs(
    service uuid, candidates uuid[], span tstzrange, at timestamptz, after_start timestamptz, after_mechanic uuid, most integer
) RETURNS TABLE (mechanic_id uuid, first_start timestamptz, last_start timestamptz)
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, public, pg_temp SET plan_cache_mode = force_generic_plan AS $$
DECLARE
    since timestamptz := greatest(lower(span), after_start);
    width interval := make_interval(hours => greatest(24, most * 3 / (4 * greatest(1, cardinality(candidates)))));
    step interval := (SELECT make_interval(mins => step_minutes) FROM services WHERE id = service);
BEGIN
    WHILE most > 0 AND since < upper(span) LOOP
        FOR mechanic_id, first_start, last_start IN
            SELECT
                run.mechanic_id,
                CASE WHEN run.first_start = after_start AND run.mechanic_id <= after_mechanic THEN run.first_start + step
                ELSE run.first_start END,
                run.last_start
            FROM free_runs(service, candidates, tstzrange(since, least(since + width, upper(span))), at) AS run
        LOOP
            CONTINUE WHEN first_start > last_start;
            most := most - 1 - EXTRACT(epoch FROM last_start - first_start) / EXTRACT(epoch FROM step);
            RETURN NEXT;
        END LOOP;
        since := since + width;
        width := width * 2;
    END LOOP;
END
$$;

-- A page of free slots, ordered by start, then mechanic.
CREATE FUNCTION page_of_free_slots(
    service uuid, candidates uuid[], span tstzrange, at timestamptz, after_start timestamptz, after_mechanic uuid, most integer
) RETURNS TABLE (mechanic_id uuid, starts_at timestamptz, ends_at timestamptz)
LANGUAGE sql STABLE SET search_path = pg_catalog, public, pg_temp AS $$
    SELECT run.mechanic_id, start, start + make_interval(mins => s.duration_minutes)
    FROM services AS s
    CROSS JOIN LATERAL page_of_free_runs(service, candidates, span, at, after_start, after_mechanic, most) AS run
    CROSS JOIN LATERAL generate_series(run.first_start, run.last_start, make_interval(mins => s.step_minutes)) AS start
    WHERE s.id = service
    ORDER BY start, run.mechanic_id
    LIMIT most
$$;

-- Every free slot, as 0.1.0 asks for them: of one mechanic or, with null, of all who offer the service. No function beside it
-- has its name, because 0.1.0 does not say of what types its arguments are.
CREATE OR REPLACE FUNCTION free_slots(service uuid, only_mechanic uuid, span tstzrange, at timestamptz)
RETURNS TABLE (mechanic_id uuid, starts_at timestamptz, ends_at timestamptz)
LANGUAGE sql STABLE SET search_path = pg_catalog, public, pg_temp AS $$
    SELECT run.mechanic_id, start, start + make_interval(mins => s.duration_minutes)
    FROM services AS s
    CROSS JOIN LATERAL free_runs(service, ARRAY(
        SELECT ms.mechanic_id FROM mechanic_services AS ms
        WHERE ms.service_id = service AND (only_mechanic IS NULL OR ms.mechanic_id = only_mechanic)
    ), span, at) AS run
    CROSS JOIN LATERAL generate_series(run.first_start, run.last_start, make_interval(mins => s.step_minutes)) AS start
    WHERE s.id = service
$$;

-- Why a slot cannot be booked, or null when it can. Without the mechanic, the service or its bays: not_offered.
DROP FUNCTION slot_refusal(uuid, uuid, timestamptz, timestamptz);
CREATE FUNCTION slot_refusal(mechanic uuid, service uuid, start timestamptz, at timestamptz, moving uuid DEFAULT NULL)
RETURNS text
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp SET timezone = 'UTC' AS $$
DECLARE
    slot record;
    whole tstzrange;
    hours tstzmultirange;
BEGIN
    SELECT
        m.online, m.timezone, m.holiday_region, s.step_minutes, s.kind,
        make_interval(mins => s.duration_minutes) AS duration,
        at + make_interval(mins => m.minimum_notice_minutes) AS earliest,
        at + make_interval(days => m.horizon_days) AS latest,
        EXISTS (SELECT FROM bays WHERE bays.workshop_id = m.workshop_id AND bays.active) AS has_bays
    INTO slot
    FROM mechanic_services AS ms
    JOIN services AS s ON s.id = ms.service_id AND s.active
    JOIN mechanics AS m ON m.id = ms.mechanic_id
    WHERE ms.mechanic_id = mechanic AND ms.service_id = service;
    -- What has passed is too soon, whatever the clocks of that time showed.
    IF NOT FOUND OR (start > at AND NOT on_grid(start, slot.timezone, slot.step_minutes))
        OR (slot.kind = 'in_person' AND NOT slot.has_bays) THEN
        RETURN 'not_offered';
    END IF;
    IF EXISTS (
        SELECT FROM bookable_starts(service, ARRAY[mechanic], tstzrange(start, start, '[]'), at, moving => moving) AS b
        WHERE b.starts @> start
    ) THEN
        RETURN NULL;
    END IF;
    whole := tstzrange(start, start + slot.duration);
    SELECT open.hours INTO hours FROM open_hours(ARRAY[mechanic], whole) AS open;
    RETURN CASE
        WHEN NOT slot.online THEN 'offline'
        WHEN start < slot.earliest THEN 'too_soon'
        WHEN start > slot.latest THEN 'too_far'
        WHEN is_day_off(mechanic, slot.holiday_region, (start AT TIME ZONE slot.timezone)::date) THEN 'time_off'
        WHEN hours IS NULL OR NOT hours @> whole THEN 'outside_hours'
        WHEN EXISTS (SELECT FROM time_off WHERE mechanic_id = mechanic AND during && whole) THEN 'time_off'
        ELSE 'taken'
    END;
END
$$;

-- A date on which the mechanic does not work at all: by an exception of its own, or a public holiday that has none.
CREATE FUNCTION is_day_off(mechanic uuid, region text, local_day date) RETURNS boolean
LANGUAGE sql STABLE SET search_path = pg_catalog, public, pg_temp AS $$
    SELECT COALESCE(
        (SELECT cardinality(opens) = 0 FROM date_exceptions WHERE mechanic_id = mechanic AND day = local_day),
        EXISTS (SELECT FROM public_holidays AS h WHERE h.region = is_day_off.region AND h.day = local_day)
    )
$$;

-- Whether the mechanic's own time [start, finish) is open and free, whatever the service (no buffers, notice or horizon).
CREATE OR REPLACE FUNCTION is_slot_available(mechanic uuid, start timestamptz, finish timestamptz, at timestamptz DEFAULT now())
RETURNS boolean
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
    SELECT
        EXISTS (
            SELECT FROM mechanics AS m
            JOIN open_hours(ARRAY[mechanic], tstzrange(start, finish)) AS open ON open.mechanic_id = m.id
            WHERE m.id = mechanic AND m.online AND open.hours @> tstzrange(start, finish)
        )
        AND NOT EXISTS (SELECT FROM time_off WHERE mechanic_id = mechanic AND during && tstzrange(start, finish))
        AND NOT EXISTS (
            SELECT FROM slot_reservations
            WHERE mechanic_id = mechanic AND blocked && tstzrange(start, finish)
                AND status IN ('reserved', 'confirmed') AND (status = 'confirmed' OR expires_at > at)
        )
$$;

-- What a hold is judged by stays as it is until the transaction ends: the mechanic's rules and day, and for an in-person
-- session the workshop's bays. Always in this order. A change of rules takes the same lock, so that either the hold sees the
-- change or the change sees the hold.
CREATE FUNCTION keep_still(mechanic uuid, service uuid) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    PERFORM FROM mechanics WHERE id = mechanic FOR NO KEY UPDATE;
    PERFORM FROM workshops WHERE id = (
        SELECT m.workshop_id FROM mechanics AS m, services AS s WHERE m.id = mechanic AND s.id = service AND s.kind = 'in_person'
    ) FOR NO KEY UPDATE;
END
$$;

-- A bay of the mechanic's workshop that is free for all of `wanted`.
CREATE FUNCTION free_bay(mechanic uuid, wanted tstzrange, at timestamptz) RETURNS uuid
LANGUAGE sql STABLE SET search_path = pg_catalog, public, pg_temp AS $$
    SELECT bays.id
    FROM bays
    JOIN mechanics AS m ON m.workshop_id = bays.workshop_id
    WHERE m.id = mechanic AND bays.active AND NOT EXISTS (
        SELECT FROM slot_reservations AS r
        WHERE r.bay_id = bays.id AND r.blocked && wanted
            AND r.status IN ('reserved', 'confirmed') AND (r.status = 'confirmed' OR r.expires_at > at)
    )
    ORDER BY bays.name, bays.id
    LIMIT 1
$$;

CREATE FUNCTION postal_area(postal_code text) RETURNS text
LANGUAGE sql IMMUTABLE STRICT SET search_path = pg_catalog, public, pg_temp AS $$
    SELECT NULLIF(upper(left(regexp_replace(postal_code, '[^[:alnum:]]', '', 'g'), 3)), '')
$$;

-- Who could serve a customer from this place, and how near they are: 0 the same postal area (the first three characters of the
-- code), 1 the same city, 2 the same country, 3 elsewhere. Nobody travels to another city for "any mechanic" in person.
CREATE FUNCTION matching_mechanics(service uuid, from_country text, from_city text, from_postal_code text)
RETURNS TABLE (mechanic_id uuid, distance integer)
LANGUAGE sql STABLE SET search_path = pg_catalog, public, pg_temp AS $$
    SELECT near.id, near.distance
    FROM (
        SELECT
            m.id, s.kind,
            CASE
                WHEN from_country IS NOT NULL AND m.country <> upper(from_country) THEN 3
                WHEN postal_area(m.postal_code) = postal_area(from_postal_code) THEN 0
                WHEN lower(m.city) = lower(btrim(from_city)) THEN 1
                ELSE 2
            END AS distance
        FROM mechanic_services AS ms
        JOIN services AS s ON s.id = ms.service_id AND s.active
        JOIN mechanics AS m ON m.id = ms.mechanic_id
        WHERE ms.service_id = service
    ) AS near
    WHERE near.kind <> 'in_person' OR near.distance < 2 OR COALESCE(from_city, from_postal_code) IS NULL AND near.distance = 2
$$;

-- Of the candidates who have the slot free, the one to give it to: the nearest; of those the one with the least booked time in
-- that week, where the mechanic is; of those the one whose last booking is longest ago. Null when nobody has it free. `tried`:
-- those who were just found to be taken.
CREATE FUNCTION fairest_mechanic(
    service uuid, from_country text, from_city text, from_postal_code text, start timestamptz, at timestamptz,
    tried uuid[] DEFAULT '{}'
) RETURNS uuid
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
    WITH matching AS MATERIALIZED (
        SELECT * FROM matching_mechanics(service, from_country, from_city, from_postal_code) AS m
        WHERE m.mechanic_id <> ALL(tried)
    ),
    free AS MATERIALIZED (
        SELECT b.mechanic_id, matching.distance, m.timezone
        FROM bookable_starts(
            service, ARRAY(SELECT matching.mechanic_id FROM matching), tstzrange(start, start, '[]'), at
        ) AS b
        JOIN matching ON matching.mechanic_id = b.mechanic_id
        JOIN mechanics AS m ON m.id = b.mechanic_id
        JOIN services AS s ON s.id = service
        WHERE b.starts @> start AND on_grid(start, m.timezone, s.step_minutes)
    )
    SELECT free.mechanic_id
    FROM free
    CROSS JOIN LATERAL (
        SELECT date_trunc('week', start AT TIME ZONE free.timezone) AS monday
    ) AS week
    CROSS JOIN LATERAL (
        SELECT COALESCE(sum(r.ends_at - r.starts_at), interval '0') AS booked
        FROM slot_reservations AS r
        WHERE r.mechanic_id = free.mechanic_id
            AND r.status IN ('reserved', 'confirmed') AND (r.status = 'confirmed' OR r.expires_at > at)
            AND r.starts_at >= week.monday AT TIME ZONE free.timezone
            AND r.starts_at < (week.monday + interval '7 days') AT TIME ZONE free.timezone
    ) AS load
    LEFT JOIN LATERAL (
        SELECT r.created_at FROM slot_reservations AS r
        WHERE r.mechanic_id = free.mechanic_id AND r.status IN ('reserved', 'confirmed')
        ORDER BY r.created_at DESC LIMIT 1
    ) AS last ON TRUE
    ORDER BY free.distance, load.booked, last.created_at NULLS FIRST, free.mechanic_id
    LIMIT 1
$$;

DROP FUNCTION bookable_starts(uuid, uuid, tstzrange, timestamptz);
DROP FUNCTION on_grid(timestamptz, integer);
DROP FUNCTION weekly_hours, time_away, blocked_time;

-- What runs with its owner's rights is for the roles of the product.
REVOKE EXECUTE ON FUNCTION open_hours, bookable_starts, slot_refusal, is_slot_available, keep_still, fairest_mechanic FROM PUBLIC;
GRANT EXECUTE ON FUNCTION open_hours, bookable_starts, slot_refusal, is_slot_available, fairest_mechanic
TO pitstop_api, pitstop_worker;
GRANT EXECUTE ON FUNCTION keep_still TO pitstop_worker;

RESET ROLE;

-- migrate:down
SET LOCAL ROLE pitstop_owner;

DROP FUNCTION fairest_mechanic, matching_mechanics, postal_area, free_bay, keep_still, is_day_off;
DROP FUNCTION page_of_free_slots, page_of_free_runs;
DROP FUNCTION slot_refusal(uuid, uuid, timestamptz, timestamptz, uuid);
DROP FUNCTION free_runs;
DROP FUNCTION on_grid(timestamptz, text, integer);
DROP FUNCTION bookable_starts(uuid, uuid[], tstzrange, timestamptz, boolean, uuid);
DROP FUNCTION full_days, without_bay, open_hours, zone_offsets, clock_change;

-- As they were.
CREATE FUNCTION weekly_hours(mechanic uuid, span tstzrange) RETURNS tstzmultirange
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
    SELECT COALESCE(range_agg(tstzrange(opens, closes)) FILTER (WHERE opens < closes), '{}')
    FROM mechanics AS m
    CROSS JOIN LATERAL generate_series(
        date_trunc('day', lower(span) AT TIME ZONE m.timezone) - interval '1 day',
        upper(span) AT TIME ZONE m.timezone,
        interval '1 day'
    ) AS local_day
    JOIN availability_rules AS r ON r.mechanic_id = m.id AND r.weekday = EXTRACT(isodow FROM local_day) - 1
    CROSS JOIN LATERAL (
        SELECT
            (local_day + r.start_time) AT TIME ZONE m.timezone AS opens,
            (local_day + r.end_time + CASE WHEN r.end_time <= r.start_time THEN interval '1 day' ELSE interval '0' END)
            AT TIME ZONE m.timezone AS closes
    ) AS hours
    WHERE m.id = mechanic
$$;

CREATE FUNCTION time_away(mechanic uuid, span tstzrange) RETURNS tstzmultirange
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
    SELECT COALESCE(range_agg(during), '{}') FROM time_off WHERE mechanic_id = mechanic AND during && span
$$;

CREATE FUNCTION blocked_time(mechanic uuid, span tstzrange, at timestamptz) RETURNS tstzmultirange
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
    SELECT COALESCE(range_agg(blocked), '{}')
    FROM slot_reservations
    WHERE mechanic_id = mechanic AND blocked && span
        AND status IN ('reserved', 'confirmed') AND (status = 'confirmed' OR expires_at > at)
$$;

CREATE FUNCTION bookable_starts(mechanic uuid, service uuid, span tstzrange, at timestamptz) RETURNS tstzmultirange
LANGUAGE sql STABLE SET search_path = pg_catalog, public, pg_temp AS $$
    WITH offer AS (
        SELECT
            make_interval(mins => s.duration_minutes) AS duration,
            make_interval(mins => s.buffer_before_minutes) AS before,
            make_interval(mins => s.duration_minutes + s.buffer_after_minutes) AS after,
            tstzrange(
                at + make_interval(mins => m.minimum_notice_minutes), at + make_interval(days => m.horizon_days), '[]'
            ) AS bookable,
            tstzrange(lower(span) - interval '3 days', upper(span) + interval '3 days') AS around
        FROM services AS s
        JOIN mechanic_services AS ms ON ms.service_id = s.id AND ms.mechanic_id = mechanic
        JOIN mechanics AS m ON m.id = ms.mechanic_id
        WHERE s.id = service AND s.active AND m.online
    ),
    open_starts AS (
        SELECT range_agg(tstzrange(lower(free), upper(free) - offer.duration, '[]')) AS starts
        FROM offer
        CROSS JOIN LATERAL unnest(weekly_hours(mechanic, offer.around) - time_away(mechanic, offer.around)) AS free
        WHERE upper(free) - offer.duration >= lower(free)
    ),
    blocked_starts AS (
        -- A start s is blocked by [c, d) when [s - before, s + after) overlaps it, that is for c - after < s < d + before.
        SELECT COALESCE(range_agg(tstzrange(lower(taken) - offer.after, upper(taken) + offer.before, '()')), '{}') AS starts
        FROM offer
        CROSS JOIN LATERAL unnest(blocked_time(mechanic, offer.around, at)) AS taken
    )
    SELECT COALESCE(
        open_starts.starts * tstzmultirange(offer.bookable) * tstzmultirange(span) - blocked_starts.starts, '{}'
    )
    FROM offer, open_starts, blocked_starts
$$;

CREATE FUNCTION on_grid(start timestamptz, step_minutes integer) RETURNS boolean
LANGUAGE sql IMMUTABLE AS $$
    SELECT start = date_bin(make_interval(mins => step_minutes), start, timestamptz '2000-01-01 00:00:00+00')
$$;

CREATE OR REPLACE FUNCTION free_slots(service uuid, only_mechanic uuid, span tstzrange, at timestamptz)
RETURNS TABLE (mechanic_id uuid, starts_at timestamptz, ends_at timestamptz)
LANGUAGE sql STABLE SET search_path = pg_catalog, public, pg_temp AS $$
    SELECT ms.mechanic_id, slot_start, slot_start + make_interval(mins => s.duration_minutes)
    FROM mechanic_services AS ms
    JOIN services AS s ON s.id = ms.service_id
    CROSS JOIN LATERAL unnest(bookable_starts(ms.mechanic_id, service, span, at)) AS starts
    CROSS JOIN LATERAL generate_series(
        date_bin(make_interval(mins => s.step_minutes), lower(starts), timestamptz '2000-01-01 00:00:00+00'),
        upper(starts), make_interval(mins => s.step_minutes)
    ) AS slot_start
    WHERE ms.service_id = service AND (only_mechanic IS NULL OR ms.mechanic_id = only_mechanic) AND starts @> slot_start
$$;

CREATE OR REPLACE FUNCTION is_slot_available(mechanic uuid, start timestamptz, finish timestamptz, at timestamptz DEFAULT now())
RETURNS boolean
LANGUAGE sql STABLE SET search_path = pg_catalog, public, pg_temp AS $$
    SELECT COALESCE(bool_or(
        m.online
        AND (weekly_hours(mechanic, tstzrange(start, finish)) - time_away(mechanic, tstzrange(start, finish)))
        @> tstzrange(start, finish)
        AND NOT blocked_time(mechanic, tstzrange(start, finish), at) && tstzrange(start, finish)
    ), FALSE)
    FROM mechanics AS m WHERE m.id = mechanic
$$;

CREATE FUNCTION slot_refusal(mechanic uuid, service uuid, start timestamptz, at timestamptz) RETURNS text
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    slot record;
    whole tstzrange;
BEGIN
    SELECT
        m.online, s.step_minutes,
        make_interval(mins => s.duration_minutes) AS duration,
        at + make_interval(mins => m.minimum_notice_minutes) AS earliest,
        at + make_interval(days => m.horizon_days) AS latest
    INTO slot
    FROM mechanic_services AS ms
    JOIN services AS s ON s.id = ms.service_id AND s.active
    JOIN mechanics AS m ON m.id = ms.mechanic_id
    WHERE ms.mechanic_id = mechanic AND ms.service_id = service;
    IF NOT FOUND OR NOT on_grid(start, slot.step_minutes) THEN
        RETURN 'not_offered';
    END IF;
    IF bookable_starts(mechanic, service, tstzrange(start, start, '[]'), at) @> start THEN
        RETURN NULL;
    END IF;
    whole := tstzrange(start, start + slot.duration);
    RETURN CASE
        WHEN NOT slot.online THEN 'offline'
        WHEN start < slot.earliest THEN 'too_soon'
        WHEN start > slot.latest THEN 'too_far'
        WHEN NOT weekly_hours(mechanic, whole) @> whole THEN 'outside_hours'
        WHEN time_away(mechanic, whole) && whole THEN 'time_off'
        ELSE 'taken'
    END;
END
$$;

ALTER FUNCTION is_slot_available SECURITY INVOKER;
GRANT EXECUTE ON FUNCTION is_slot_available TO PUBLIC;
REVOKE EXECUTE ON FUNCTION is_slot_available FROM pitstop_api, pitstop_worker;
REVOKE EXECUTE ON FUNCTION weekly_hours, time_away, blocked_time FROM PUBLIC;
GRANT EXECUTE ON FUNCTION weekly_hours, time_away, blocked_time TO pitstop_api, pitstop_worker;

RESET ROLE;
