-- migrate:up
SET LOCAL lock_timeout = '5s';
SET LOCAL statement_timeout = '60s';
SET LOCAL ROLE pitstop_owner;

-- Whether a service can be had at once, with whoever takes it. Null: as is usual for its kind, which is so online. Never in
-- person, nor where a waiver has to be signed first.
ALTER TABLE services ADD COLUMN immediate boolean;
-- A new column is empty: nothing is scanned for it.
-- squawk-ignore constraint-missing-not-valid
ALTER TABLE services ADD CONSTRAINT at_once_online CHECK (immediate IS NOT TRUE OR kind IN ('video', 'chat'));

-- An immediate session has a length (`duration_minutes`, null for one with a time), and neither time nor mechanic until
-- somebody takes it.
ALTER TABLE bookings
    -- squawk-ignore ban-drop-not-null
    ALTER COLUMN mechanic_id DROP NOT NULL,
    -- squawk-ignore ban-drop-not-null
    ALTER COLUMN starts_at DROP NOT NULL,
    -- squawk-ignore ban-drop-not-null
    ALTER COLUMN ends_at DROP NOT NULL,
    ADD COLUMN duration_minutes integer CHECK (duration_minutes BETWEEN 1 AND 1440),
    -- How far its offers reach, as `matching_mechanics` counts distance (null: to nobody but the preferred mechanic); when they
    -- reach further, and when nobody can take it any more. All null until it is paid.
    ADD COLUMN offers_reach smallint CHECK (offers_reach BETWEEN 0 AND 3),
    ADD COLUMN offers_widen_at timestamptz,
    ADD COLUMN offers_end_at timestamptz;
ALTER TABLE bookings
    -- squawk-ignore constraint-missing-not-valid
    ADD CONSTRAINT time_with_mechanic CHECK (
        (starts_at IS NULL) = (ends_at IS NULL) AND (starts_at IS NULL) = (mechanic_id IS NULL)
    ),
    -- squawk-ignore constraint-missing-not-valid
    ADD CONSTRAINT time_once_taken CHECK (
        (starts_at IS NOT NULL) = (duration_minutes IS NULL OR status IN ('in_progress', 'completed', 'no_show'))
        AND (duration_minutes IS NULL OR status <> 'confirmed')
    );
-- Few wait at a time.
-- squawk-ignore require-concurrent-index-creation
CREATE INDEX bookings_offered ON bookings (offers_widen_at) WHERE status = 'pending';

-- To whom an immediate session was offered. `outcome` null: the mechanic may still take it. `lapsed`: somebody else has, it was
-- called off, or nobody took it in time.
CREATE TABLE session_offers (
    booking_id uuid NOT NULL REFERENCES bookings (id),
    mechanic_id uuid NOT NULL REFERENCES mechanics (id),
    distance smallint NOT NULL CHECK (distance BETWEEN 0 AND 3),
    offered_at timestamptz NOT NULL,
    outcome text CHECK (outcome IN ('accepted', 'declined', 'lapsed')),
    PRIMARY KEY (booking_id, mechanic_id)
);
-- The row lock of the booking decides who takes it; this is what is left if it does not.
CREATE UNIQUE INDEX one_mechanic_takes_it ON session_offers (booking_id) WHERE outcome = 'accepted';
CREATE INDEX open_offers_of_mechanic ON session_offers (mechanic_id, offered_at) WHERE outcome IS NULL;

-- Who could take an immediate session of this service at this moment, and how near they are: online, at work by their own
-- hours, not away, not at their day's limit, and free for its length with what they want around it.
CREATE FUNCTION takers_now(service uuid, from_country text, from_city text, from_postal_code text, at timestamptz)
RETURNS TABLE (mechanic_id uuid, distance integer)
LANGUAGE sql STABLE SECURITY DEFINER
SET search_path = pg_catalog, public, pg_temp SET timezone = 'UTC' SET plan_cache_mode = force_generic_plan AS $$
    WITH near AS MATERIALIZED (
        SELECT
            m.id, matching.distance, m.timezone, m.max_sessions_per_day,
            tstzrange(
                at - make_interval(mins => greatest(s.buffer_before_minutes, ms.buffer_before_minutes)),
                at + make_interval(mins => s.duration_minutes + greatest(s.buffer_after_minutes, ms.buffer_after_minutes))
            ) AS wanted
        FROM matching_mechanics(service, from_country, from_city, from_postal_code) AS matching
        JOIN mechanics AS m ON m.id = matching.mechanic_id AND m.online
        JOIN services AS s ON s.id = service AND COALESCE(s.immediate, s.kind IN ('video', 'chat'))
        JOIN mechanic_services AS ms ON ms.service_id = s.id AND ms.mechanic_id = m.id
    )
    SELECT near.id, near.distance
    FROM near
    JOIN open_hours(ARRAY(SELECT near.id FROM near), tstzrange(at, at + interval '1 minute')) AS open
        ON open.mechanic_id = near.id AND open.hours @> at
    WHERE NOT EXISTS (SELECT FROM time_off AS t WHERE t.mechanic_id = near.id AND t.during @> at)
        AND NOT EXISTS (
            SELECT FROM slot_reservations AS r
            WHERE r.mechanic_id = near.id AND r.blocked && near.wanted
                AND r.status IN ('reserved', 'confirmed') AND (r.status = 'confirmed' OR r.expires_at > at)
        )
        AND (near.max_sessions_per_day IS NULL OR NOT full_days(
            near.id, near.timezone, near.max_sessions_per_day, tstzmultirange(tstzrange(at, at, '[]')), at, NULL
        ) @> at)
$$;

-- Whatever a booking that was offered has come to: nobody else can take it.
CREATE FUNCTION close_offers() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    UPDATE session_offers SET outcome = 'lapsed' WHERE booking_id = NEW.id AND outcome IS NULL;
    RETURN NULL;
END
$$;
CREATE TRIGGER offers_close AFTER UPDATE OF status ON bookings FOR EACH ROW
WHEN (OLD.status = 'pending' AND NEW.status <> 'pending')
EXECUTE FUNCTION close_offers();

ALTER TABLE session_offers ENABLE ROW LEVEL SECURITY;
ALTER TABLE session_offers FORCE ROW LEVEL SECURITY;
CREATE POLICY for_its_functions ON session_offers FOR ALL TO pitstop_owner USING (TRUE) WITH CHECK (TRUE);
CREATE POLICY own_offers ON session_offers FOR SELECT TO pitstop_api USING (
    (SELECT caller_role()) = 'operator'
    OR ((SELECT caller_role()) = 'mechanic' AND mechanic_id::text = (SELECT caller()))
);
CREATE POLICY every_booking ON session_offers FOR ALL TO pitstop_worker USING (TRUE) WITH CHECK (TRUE);
CREATE POLICY audited ON session_offers FOR SELECT TO pitstop_audit USING (TRUE);

-- A mechanic decides on an offer before the booking is its own, and sees of it what it has to know: these two functions say
-- what that is. Their owner sees the bookings that were offered to the caller, while it runs them and at no other time.
CREATE POLICY offered_bookings ON bookings FOR SELECT TO pitstop_owner USING (
    current_setting('pitstop.reading', TRUE) = 'offers'
    AND EXISTS (
        SELECT FROM session_offers AS o
        WHERE o.booking_id = bookings.id AND (
            (SELECT caller_role()) = 'operator'
            OR ((SELECT caller_role()) = 'mechanic' AND o.mechanic_id::text = (SELECT caller()))
        )
    )
);

-- What they can see of a booking is not for paying it.
ALTER POLICY of_bookings_to_pay_for ON payments USING (
    current_setting('pitstop.reading', TRUE) IS DISTINCT FROM 'offers'
    AND EXISTS (SELECT FROM bookings WHERE bookings.id = payments.booking_id)
);

-- The mechanic's open offers, newest first. Of the customer the first name and the place.
CREATE FUNCTION open_offers(mechanic uuid) RETURNS TABLE (
    booking_id uuid, service_id uuid, service_name text, kind text, plan_name text, duration_minutes integer, amount bigint,
    currency text, first_name text, city text, country text, distance integer, preferred boolean, offered_at timestamptz,
    offered_until timestamptz
)
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
#variable_conflict use_column
BEGIN
    PERFORM set_config('pitstop.reading', 'offers', TRUE);
    RETURN QUERY
    SELECT
        b.id, b.service_id, s.name, s.kind, p.name, b.duration_minutes, b.amount, b.currency,
        split_part(btrim(b.customer_name), ' ', 1), b.city, b.country, o.distance::integer,
        b.preferred_mechanic_id IS NOT DISTINCT FROM o.mechanic_id, o.offered_at, b.offers_end_at
    FROM session_offers AS o
    JOIN mechanics AS m ON m.id = o.mechanic_id AND m.online
    JOIN bookings AS b ON b.id = o.booking_id AND b.status = 'pending'
    JOIN services AS s ON s.id = b.service_id
    JOIN plans AS p ON p.id = b.plan_id
    WHERE o.mechanic_id = mechanic AND o.outcome IS NULL AND (
        (SELECT caller_role()) = 'operator' OR ((SELECT caller_role()) = 'mechanic' AND mechanic::text = (SELECT caller()))
    )
    ORDER BY o.offered_at DESC, b.id
    LIMIT 200;
    PERFORM set_config('pitstop.reading', '', TRUE);
END
$$;

-- A booking that was offered to the caller, as the engine has to know it to run its workflow.
CREATE FUNCTION offered_booking(booking uuid) RETURNS TABLE (
    booking_id uuid, fingerprint text, mechanic_id uuid, customer_id uuid, starts_at timestamptz, status text
)
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
#variable_conflict use_column
BEGIN
    PERFORM set_config('pitstop.reading', 'offers', TRUE);
    RETURN QUERY
    SELECT b.id, encode(b.request_fingerprint, 'hex'), b.mechanic_id, b.customer_id, b.starts_at, b.status
    FROM session_offers AS o
    JOIN bookings AS b ON b.id = o.booking_id
    WHERE o.booking_id = booking AND (SELECT caller_role()) = 'mechanic' AND o.mechanic_id::text = (SELECT caller());
    PERFORM set_config('pitstop.reading', '', TRUE);
END
$$;

-- What a mechanic asks of a booking that was offered to it.
CREATE POLICY ask_about_offers ON booking_changes FOR INSERT TO pitstop_api WITH CHECK (
    outcome IS NULL AND kind IN ('accept', 'decline_offer')
    AND asked_by_role = (SELECT caller_role()) AND asked_by = (SELECT caller())
    AND EXISTS (SELECT FROM session_offers AS o WHERE o.booking_id = booking_changes.booking_id)
);
CREATE POLICY asked_about_offers ON booking_changes FOR SELECT TO pitstop_api USING (
    kind IN ('accept', 'decline_offer') AND asked_by_role = (SELECT caller_role()) AND asked_by = (SELECT caller())
    AND EXISTS (SELECT FROM session_offers AS o WHERE o.booking_id = booking_changes.booking_id)
);

REVOKE EXECUTE ON FUNCTION takers_now, open_offers, offered_booking, close_offers FROM PUBLIC;
GRANT EXECUTE ON FUNCTION takers_now TO pitstop_api, pitstop_worker;
GRANT EXECUTE ON FUNCTION open_offers, offered_booking TO pitstop_api;
GRANT SELECT ON session_offers TO pitstop_api, pitstop_audit;
GRANT SELECT, INSERT (booking_id, mechanic_id, distance, offered_at), UPDATE (outcome) ON session_offers TO pitstop_worker;
GRANT UPDATE (offers_reach, offers_widen_at, offers_end_at) ON bookings TO pitstop_worker;
GRANT UPDATE (slot_reservation_id) ON sessions TO pitstop_worker;
GRANT INSERT (session_id) ON slot_reservations TO pitstop_worker;
GRANT SELECT (duration_minutes, offers_end_at) ON bookings TO pitstop_audit;

RESET ROLE;

-- migrate:down
SET LOCAL ROLE pitstop_owner;

REVOKE INSERT (session_id) ON slot_reservations FROM pitstop_worker;
REVOKE UPDATE (slot_reservation_id) ON sessions FROM pitstop_worker;
DROP POLICY asked_about_offers ON booking_changes;
DROP POLICY ask_about_offers ON booking_changes;
DROP FUNCTION offered_booking, open_offers;
ALTER POLICY of_bookings_to_pay_for ON payments
USING (EXISTS (SELECT FROM bookings WHERE bookings.id = payments.booking_id));
DROP POLICY offered_bookings ON bookings;
DROP TRIGGER offers_close ON bookings;
DROP FUNCTION close_offers, takers_now;
DROP TABLE session_offers;
-- What nobody has taken gets the moment at which it was asked for, and a mechanic who could have: a row has to have them.
ALTER TABLE bookings NO FORCE ROW LEVEL SECURITY;
ALTER TABLE bookings DISABLE TRIGGER USER;
-- squawk-ignore ban-drop-constraint
ALTER TABLE bookings DROP CONSTRAINT time_with_mechanic, DROP CONSTRAINT time_once_taken;
UPDATE bookings AS b SET
    starts_at = b.created_at, ends_at = b.created_at + make_interval(mins => b.duration_minutes),
    mechanic_id = COALESCE(
        b.preferred_mechanic_id,
        (SELECT ms.mechanic_id FROM mechanic_services AS ms WHERE ms.service_id = b.service_id ORDER BY ms.mechanic_id LIMIT 1),
        (SELECT m.id FROM mechanics AS m ORDER BY m.id LIMIT 1)
    )
WHERE b.starts_at IS NULL;
ALTER TABLE bookings ENABLE TRIGGER USER;
ALTER TABLE bookings FORCE ROW LEVEL SECURITY;
ALTER TABLE bookings
    DROP COLUMN duration_minutes, DROP COLUMN offers_reach, DROP COLUMN offers_widen_at, DROP COLUMN offers_end_at,
    -- squawk-ignore adding-not-nullable-field
    ALTER COLUMN mechanic_id SET NOT NULL,
    -- squawk-ignore adding-not-nullable-field
    ALTER COLUMN starts_at SET NOT NULL,
    -- squawk-ignore adding-not-nullable-field
    ALTER COLUMN ends_at SET NOT NULL;
ALTER TABLE services DROP COLUMN immediate;

RESET ROLE;
