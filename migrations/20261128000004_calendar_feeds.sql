-- migrate:up
SET LOCAL lock_timeout = '5s';
SET LOCAL statement_timeout = '60s';
SET LOCAL ROLE pitstop_owner;

-- A mechanic's calendar, to subscribe to. Its address is signed and names the row's id: a new address has a new id, so that
-- the old one opens nothing, and without a row there is no feed.
CREATE TABLE calendar_feeds (
    id uuid PRIMARY KEY,
    mechanic_id uuid NOT NULL UNIQUE REFERENCES mechanics (id),
    made_at timestamptz NOT NULL
);
ALTER TABLE calendar_feeds ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;

-- Whoever has the address is `feed`, and its subject is the feed's id.
CREATE POLICY own_feed ON calendar_feeds TO pitstop_api USING (
    (SELECT caller_role()) = 'operator'
    OR ((SELECT caller_role()) = 'mechanic' AND mechanic_id::text = (SELECT caller()))
) WITH CHECK (
    (SELECT caller_role()) = 'operator'
    OR ((SELECT caller_role()) = 'mechanic' AND mechanic_id::text = (SELECT caller()))
);
CREATE POLICY feed_itself ON calendar_feeds FOR SELECT TO pitstop_api, pitstop_owner
USING ((SELECT caller_role()) = 'feed' AND id::text = (SELECT caller()));

-- `feed` sees no row of a booking: it is shown a few columns of some of them by the function below, whose owner sees these.
CREATE POLICY bookings_of_feed ON bookings FOR SELECT TO pitstop_owner USING (
    (SELECT caller_role()) = 'feed' AND mechanic_id = (SELECT mechanic_id FROM calendar_feeds)
);

-- What takes the mechanic's time and overlaps the span, by start: sessions that stand or have been, and time off. Of the
-- customer no more than the first word of the name, and that until it is erased.
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
GRANT SELECT, INSERT, DELETE, UPDATE (id, made_at) ON calendar_feeds TO pitstop_api;

RESET ROLE;

-- migrate:down
SET LOCAL ROLE pitstop_owner;

DROP FUNCTION feed_entries;
DROP POLICY bookings_of_feed ON bookings;
DROP TABLE calendar_feeds;

RESET ROLE;
