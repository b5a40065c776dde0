-- migrate:up
SET LOCAL lock_timeout = '5s';
SET LOCAL statement_timeout = '60s';
SET LOCAL ROLE pitstop_owner;

-- Availability is set work: spans are multiranges, and what is free is hours minus time off minus what is blocked.
-- Every question (search, check of one slot, hold) is answered from bookable_starts, so that no two answers can differ.
-- The functions that read other people's reservations and time off run with their owner's rights and give back times only.
-- `at` is the asker's clock: tests and the workflow bring their own, and a hold is judged by one instant throughout.

-- The mechanic's weekly hours as instants, whole local days around the given span. Spans that touch become one.
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

-- What is spoken for: confirmed reservations, and holds that have not run out at `at`.
CREATE FUNCTION blocked_time(mechanic uuid, span tstzrange, at timestamptz) RETURNS tstzmultirange
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
    SELECT COALESCE(range_agg(blocked), '{}')
    FROM slot_reservations
    WHERE mechanic_id = mechanic AND blocked && span
        AND status IN ('reserved', 'confirmed') AND (status = 'confirmed' OR expires_at > at)
$$;

-- The instants within `span` at which a session of this service may start, as a multirange of starts, grid aside.
-- A session lies within open hours; its buffers may reach over their edge, but not into what is blocked.
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

-- Every free slot that starts within `span` (half-open), for one mechanic or, with null, for all who offer the service.
CREATE FUNCTION free_slots(service uuid, only_mechanic uuid, span tstzrange, at timestamptz)
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

-- Why a slot cannot be booked, or null when it can. Without the mechanic or the service: not_offered.
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

-- Whether the mechanic's own time [start, finish) is open and free, whatever the service (no buffers, notice or horizon).
CREATE FUNCTION is_slot_available(mechanic uuid, start timestamptz, finish timestamptz, at timestamptz DEFAULT now())
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

RESET ROLE;

-- migrate:down
DROP FUNCTION is_slot_available, slot_refusal, free_slots, on_grid, bookable_starts, blocked_time, time_away, weekly_hours;
