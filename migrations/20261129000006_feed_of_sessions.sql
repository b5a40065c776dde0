-- migrate:up
SET LOCAL lock_timeout = '5s';
SET LOCAL statement_timeout = '60s';
SET LOCAL ROLE pitstop_owner;

-- As before, and whether the workshop's word on the session is waited for: another column makes it another function. The
-- place is that of the session, not of each time that is held beside it while the customer or the workshop thinks about
-- another one: with those the session was listed once for each.
DROP FUNCTION feed_entries;
CREATE FUNCTION feed_entries(feed uuid, span tstzrange, most integer) RETURNS TABLE (
    id uuid, service_name text, kind text, place text, customer text, starts_at timestamptz, ends_at timestamptz,
    sequence integer, changed_at timestamptz, tentative boolean
)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
    WITH own AS MATERIALIZED (
        SELECT f.mechanic_id, m.workshop_id, m.address
        FROM calendar_feeds AS f JOIN mechanics AS m ON m.id = f.mechanic_id
        WHERE f.id = feed
    )
    SELECT
        b.id, s.name, s.kind, CASE s.kind WHEN 'in_person' THEN COALESCE(w.address, own.address) END,
        CASE WHEN b.erased_at IS NULL THEN (regexp_match(b.customer_name, '\S+'))[1] END,
        b.starts_at, b.ends_at, b.invite_sequence, b.updated_at,
        b.status = 'confirmed' AND COALESCE(b.workshop_status IN ('awaiting', 'proposed'), FALSE)
    FROM own
    JOIN bookings AS b ON b.mechanic_id = own.mechanic_id
    JOIN services AS s ON s.id = b.service_id
    LEFT JOIN slot_reservations AS held
        ON held.booking_id = b.id AND held.status IN ('reserved', 'confirmed')
        AND held.proposal_id IS NULL AND held.supplement_id IS NULL
    LEFT JOIN bays ON bays.id = held.bay_id
    LEFT JOIN workshops AS w ON w.id = COALESCE(bays.workshop_id, own.workshop_id)
    WHERE b.status IN ('confirmed', 'in_progress', 'completed', 'no_show')
        -- No session is longer than a day: the index by start serves.
        AND b.starts_at > lower(span) - interval '1 day' AND b.starts_at < upper(span) AND b.ends_at > lower(span)
    UNION ALL
    SELECT
        t.id, NULL, NULL, NULL, NULL, lower(t.during), upper(t.during), 0,
        COALESCE(uuid_extract_timestamp(t.id), lower(t.during)), FALSE
    FROM own
    JOIN time_off AS t ON t.mechanic_id = own.mechanic_id AND t.during && span
    ORDER BY 6, 1
    LIMIT most
$$;
REVOKE EXECUTE ON FUNCTION feed_entries FROM PUBLIC;
GRANT EXECUTE ON FUNCTION feed_entries TO pitstop_api;

RESET ROLE;

-- migrate:down
SET LOCAL ROLE pitstop_owner;

DROP FUNCTION feed_entries;
CREATE FUNCTION feed_entries(feed uuid, span tstzrange, most integer) RETURNS TABLE (
    id uuid, service_name text, kind text, place text, customer text, starts_at timestamptz, ends_at timestamptz,
    sequence integer, changed_at timestamptz
)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
    WITH own AS MATERIALIZED (
        SELECT f.mechanic_id, m.workshop_id, m.address
        FROM calendar_feeds AS f JOIN mechanics AS m ON m.id = f.mechanic_id
        WHERE f.id = feed
    )
    SELECT
        b.id, s.name, s.kind, CASE s.kind WHEN 'in_person' THEN COALESCE(w.address, own.address) END,
        CASE WHEN b.erased_at IS NULL THEN (regexp_match(b.customer_name, '\S+'))[1] END,
        b.starts_at, b.ends_at, b.invite_sequence, b.updated_at
    FROM own
    JOIN bookings AS b ON b.mechanic_id = own.mechanic_id
    JOIN services AS s ON s.id = b.service_id
    LEFT JOIN slot_reservations AS held ON held.booking_id = b.id AND held.status IN ('reserved', 'confirmed')
    LEFT JOIN bays ON bays.id = held.bay_id
    LEFT JOIN workshops AS w ON w.id = COALESCE(bays.workshop_id, own.workshop_id)
    WHERE b.status IN ('confirmed', 'in_progress', 'completed', 'no_show')
        -- No session is longer than a day: the index by start serves.
        AND b.starts_at > lower(span) - interval '1 day' AND b.starts_at < upper(span) AND b.ends_at > lower(span)
    UNION ALL
    SELECT
        t.id, NULL, NULL, NULL, NULL, lower(t.during), upper(t.during), 0,
        COALESCE(uuid_extract_timestamp(t.id), lower(t.during))
    FROM own
    JOIN time_off AS t ON t.mechanic_id = own.mechanic_id AND t.during && span
    ORDER BY 6, 1
    LIMIT most
$$;
REVOKE EXECUTE ON FUNCTION feed_entries FROM PUBLIC;
GRANT EXECUTE ON FUNCTION feed_entries TO pitstop_api;

RESET ROLE;
