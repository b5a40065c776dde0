-- migrate:up
SET LOCAL lock_timeout = '5s';
SET LOCAL statement_timeout = '60s';
SET LOCAL ROLE pitstop_owner;

-- Who waits for time that is taken, and for which. What is offered to an entry is an ordinary booking, which says whose offer
-- it is (bookings.waitlist_entry_id): held for a set time, paid for, expired or cancelled as every booking is.
CREATE TABLE waitlist_entries (
    id uuid PRIMARY KEY,
    -- Who comes first. It rises with each entry, and for an entry again when it lets an offer pass: that is the end of the line.
    place bigint GENERATED ALWAYS AS IDENTITY,
    -- `closed`: it has let as many offers pass as it may. `lapsed`: the time it waited for is over.
    status text NOT NULL DEFAULT 'waiting' CHECK (status IN ('waiting', 'fulfilled', 'lapsed', 'left', 'closed')),
    request_fingerprint bytea NOT NULL,
    -- SHA-256 of what is waited for, without whom it is for: the same wish twice is one entry.
    wish bytea NOT NULL,
    created_by text NOT NULL,
    created_by_role text NOT NULL DEFAULT NULLIF(caller_role(), '')
    CHECK (created_by_role IN ('customer', 'service', 'operator')),
    customer_id uuid NOT NULL,
    customer_name text NOT NULL,
    customer_email text NOT NULL,
    customer_phone text,
    sms_consent boolean NOT NULL DEFAULT FALSE,
    language text NOT NULL DEFAULT 'en' CHECK (language IN ('en', 'fr')),
    country text NOT NULL,
    city text NOT NULL,
    postal_code text NOT NULL,
    intake jsonb NOT NULL DEFAULT '{}',
    timezone text NOT NULL,
    service_id uuid NOT NULL REFERENCES services (id),
    plan_id uuid NOT NULL REFERENCES plans (id),
    -- Null: any who would serve a customer from there.
    mechanic_id uuid REFERENCES mechanics (id),
    -- Of starts, half-open; and the local times of day, both included, between which a start has to lie.
    span tstzrange NOT NULL,
    earliest time,
    latest time,
    -- How many offers it has had: each has an id of its own, made from the entry's and this number.
    offers integer NOT NULL DEFAULT 0,
    missed integer NOT NULL DEFAULT 0,
    -- The setting of the entry's moment.
    missed_at_most integer NOT NULL CHECK (missed_at_most > 0),
    -- When somebody last looked whether something is free for it; null: it is due for a look.
    looked_at timestamptz,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    updated_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    erased_at timestamptz,
    CHECK (NOT isempty(span) AND upper(span) - lower(span) <= interval '62 days'),
    CHECK ((earliest IS NULL) = (latest IS NULL) AND earliest <= latest)
);
CREATE INDEX waitlist_in_line ON waitlist_entries (service_id, place) WHERE status = 'waiting';
CREATE INDEX waitlist_to_look_at ON waitlist_entries (looked_at NULLS FIRST, place) WHERE status = 'waiting';
CREATE UNIQUE INDEX one_entry_of_a_wish ON waitlist_entries (customer_id, wish) WHERE status = 'waiting';
CREATE INDEX waitlist_of_customer ON waitlist_entries (customer_id, created_at);
CREATE INDEX waitlist_in_order ON waitlist_entries (created_at, id);

-- Time of a mechanic's that may have come free, and that somebody waits for: to be looked at, oldest first. A row is removed
-- by whoever has looked, in a transaction that began after the row's was over.
CREATE TABLE freed_slots (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    mechanic_id uuid NOT NULL REFERENCES mechanics (id),
    span tstzrange NOT NULL,
    freed_at timestamptz NOT NULL DEFAULT clock_timestamp()
);

-- A new column is empty: nothing is scanned for it, nor for its indexes.
-- squawk-ignore adding-foreign-key-constraint
ALTER TABLE bookings ADD COLUMN waitlist_entry_id uuid REFERENCES waitlist_entries (id);
-- Nobody has two offers at a time, whatever runs at once.
-- squawk-ignore require-concurrent-index-creation
CREATE UNIQUE INDEX one_open_offer_of_an_entry ON bookings (waitlist_entry_id) WHERE status IN ('holding', 'awaiting_payment');
-- squawk-ignore require-concurrent-index-creation
CREATE INDEX offers_of_entry ON bookings (waitlist_entry_id) WHERE waitlist_entry_id IS NOT NULL;
-- squawk-ignore require-concurrent-index-creation
CREATE INDEX offers_by_mechanic ON bookings (mechanic_id, starts_at) WHERE waitlist_entry_id IS NOT NULL;

-- The mail about an offer is owed from its hold on; if Stripe cannot be had then, it goes with the booking that is withdrawn.
-- squawk-ignore ban-drop-constraint
ALTER TABLE notifications DROP CONSTRAINT notifications_booking_id_fkey;
-- squawk-ignore adding-foreign-key-constraint, constraint-missing-not-valid
ALTER TABLE notifications ADD CONSTRAINT notifications_booking_id_fkey
FOREIGN KEY (booking_id) REFERENCES bookings (id) ON DELETE CASCADE;

ALTER TABLE waitlist_entries ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
ALTER TABLE freed_slots ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;

-- As bookings are seen, but not by mechanics: who waits for them is not their business until it has booked. Whoever bears the
-- link of an offer sees the entry that it was made to.
CREATE POLICY own_entries ON waitlist_entries FOR SELECT TO pitstop_api USING (
    CASE (SELECT caller_role())
        WHEN 'customer' THEN customer_id::text = (SELECT caller())
        WHEN 'service' THEN created_by = (SELECT caller()) AND created_by_role = 'service'
        WHEN 'link' THEN erased_at IS NULL
        AND id = (SELECT b.waitlist_entry_id FROM bookings AS b WHERE b.id::text = (SELECT caller()))
        ELSE (SELECT caller_role()) = 'operator'
    END
);
CREATE POLICY wait_in_own_name ON waitlist_entries FOR INSERT TO pitstop_api WITH CHECK (
    created_by = (SELECT caller()) AND created_by_role = (SELECT caller_role())
    AND CASE (SELECT caller_role())
        WHEN 'customer' THEN customer_id::text = (SELECT caller())
        ELSE (SELECT caller_role()) IN ('service', 'operator')
    END
);
CREATE POLICY leave ON waitlist_entries FOR UPDATE TO pitstop_api
USING (status = 'waiting') WITH CHECK (status = 'left');
CREATE POLICY every_entry ON waitlist_entries FOR ALL TO pitstop_worker USING (TRUE) WITH CHECK (TRUE);
CREATE POLICY for_its_functions ON waitlist_entries FOR SELECT TO pitstop_owner USING (TRUE);
CREATE POLICY for_its_functions ON freed_slots FOR INSERT TO pitstop_owner WITH CHECK (TRUE);
CREATE POLICY every_slot ON freed_slots FOR ALL TO pitstop_worker USING (TRUE);
CREATE POLICY audited ON waitlist_entries FOR SELECT TO pitstop_audit USING (TRUE);
CREATE POLICY audited ON freed_slots FOR SELECT TO pitstop_audit USING (TRUE);

GRANT SELECT ON waitlist_entries TO pitstop_api;
GRANT INSERT (
    id, request_fingerprint, wish, created_by, customer_id, customer_name, customer_email, customer_phone, sms_consent,
    language, country, city, postal_code, intake, timezone, service_id, plan_id, mechanic_id, span, earliest, latest,
    missed_at_most
), UPDATE (status, updated_at) ON waitlist_entries TO pitstop_api;
GRANT SELECT, UPDATE (
    place, status, offers, missed, looked_at, updated_at, erased_at, request_fingerprint, customer_name, customer_email,
    customer_phone, sms_consent, city, postal_code, intake
) ON waitlist_entries TO pitstop_worker;
GRANT SELECT, DELETE ON freed_slots TO pitstop_worker;
GRANT INSERT (
    id, request_fingerprint, created_by, created_by_role, customer_id, customer_name, customer_email, customer_phone, country,
    city, postal_code, intake, timezone, service_id, plan_id, mechanic_id, preferred_mechanic_id, starts_at, ends_at,
    buffer_before_minutes, buffer_after_minutes, amount, currency, policy, sms_consent, language, reminder_offsets,
    waitlist_entry_id
) ON bookings TO pitstop_worker;
GRANT SELECT ON booking_policies TO pitstop_worker;
GRANT SELECT (id, status, span) ON waitlist_entries TO pitstop_audit;
GRANT SELECT ON freed_slots TO pitstop_audit;
GRANT SELECT (waitlist_entry_id) ON bookings TO pitstop_audit;

-- The starts of a service that time of a mechanic's can make possible: a session with its buffers would touch it.
CREATE FUNCTION starts_around(freed tstzrange, service uuid, mechanic uuid) RETURNS tstzrange
LANGUAGE sql STABLE SET search_path = pg_catalog, public, pg_temp AS $$
    SELECT tstzrange(
        lower(freed) - make_interval(mins => s.duration_minutes + greatest(s.buffer_after_minutes, ms.buffer_after_minutes)),
        upper(freed) + make_interval(mins => greatest(s.buffer_before_minutes, ms.buffer_before_minutes))
    )
    FROM services AS s
    JOIN mechanic_services AS ms ON ms.service_id = s.id AND ms.mechanic_id = mechanic
    WHERE s.id = service AND s.active
$$;

-- Notes that time of a mechanic's may have come free, if anybody waits for it.
CREATE FUNCTION note_freed(mechanic uuid, freed tstzrange) RETURNS void
LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
    INSERT INTO freed_slots (mechanic_id, span)
    SELECT mechanic, freed
    WHERE EXISTS (
        SELECT FROM mechanic_services AS ms
        JOIN waitlist_entries AS e ON e.service_id = ms.service_id
        WHERE ms.mechanic_id = mechanic AND e.status = 'waiting' AND (e.mechanic_id IS NULL OR e.mechanic_id = mechanic)
            AND e.span && starts_around(freed, ms.service_id, mechanic)
    )
$$;

-- A reservation lets its time go. With it the bay, which mechanics of the same workshop share; and of a mechanic who takes so
-- many sessions a day, the rest of that day.
CREATE FUNCTION note_freed_slot() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    PERFORM note_freed(m.id, CASE
        WHEN m.max_sessions_per_day IS NULL THEN OLD.blocked
        ELSE tstzrange(lower(OLD.blocked) - interval '1 day', upper(OLD.blocked) + interval '1 day')
    END)
    FROM mechanics AS m
    WHERE m.id = OLD.mechanic_id OR m.workshop_id = (SELECT bays.workshop_id FROM bays WHERE bays.id = OLD.bay_id);
    RETURN NULL;
END
$$;
CREATE TRIGGER slot_comes_free AFTER UPDATE ON slot_reservations FOR EACH ROW
WHEN (
    OLD.status IN ('reserved', 'confirmed') AND (
        NEW.status NOT IN ('reserved', 'confirmed') OR NEW.blocked <> OLD.blocked OR NEW.mechanic_id <> OLD.mechanic_id
        OR NEW.bay_id IS DISTINCT FROM OLD.bay_id
    )
) EXECUTE FUNCTION note_freed_slot();
CREATE TRIGGER slot_is_given_back AFTER DELETE ON slot_reservations FOR EACH ROW
WHEN (OLD.status IN ('reserved', 'confirmed')) EXECUTE FUNCTION note_freed_slot();

-- A mechanic's rules have changed, and any time ahead may be bookable now.
CREATE FUNCTION note_new_rules() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    PERFORM note_freed(who.mechanic_id, tstzrange(now(), now() + interval '1 year'))
    FROM (SELECT DISTINCT mechanic_id FROM changed) AS who;
    RETURN NULL;
END
$$;
CREATE TRIGGER hours_are_added AFTER INSERT ON availability_rules REFERENCING NEW TABLE AS changed
FOR EACH STATEMENT EXECUTE FUNCTION note_new_rules();
CREATE TRIGGER hours_are_added AFTER INSERT ON date_exceptions REFERENCING NEW TABLE AS changed
FOR EACH STATEMENT EXECUTE FUNCTION note_new_rules();
CREATE TRIGGER hours_are_again_those_of_the_week AFTER DELETE ON date_exceptions REFERENCING OLD TABLE AS changed
FOR EACH STATEMENT EXECUTE FUNCTION note_new_rules();
CREATE TRIGGER service_is_offered AFTER INSERT ON mechanic_services REFERENCING NEW TABLE AS changed
FOR EACH STATEMENT EXECUTE FUNCTION note_new_rules();

CREATE FUNCTION note_mechanic_changed() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    PERFORM note_freed(NEW.id, tstzrange(now(), now() + interval '1 year'));
    RETURN NULL;
END
$$;
CREATE TRIGGER mechanic_takes_more AFTER UPDATE OF
online, minimum_notice_minutes, horizon_days, max_sessions_per_day, holiday_region, timezone, workshop_id ON mechanics
FOR EACH ROW WHEN (NEW.online AND OLD.* IS DISTINCT FROM NEW.*) EXECUTE FUNCTION note_mechanic_changed();

CREATE FUNCTION note_time_back() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    PERFORM note_freed(OLD.mechanic_id, OLD.during);
    RETURN NULL;
END
$$;
CREATE TRIGGER mechanic_is_back AFTER DELETE ON time_off FOR EACH ROW EXECUTE FUNCTION note_time_back();

-- An offer is over, in the transaction that ends it. Paid: the entry has what it waited for. Let pass: it goes to the end of
-- the line, or out of it. Declined, or lost through no fault of the customer's: it keeps its place. As long as it waits it is
-- due for a look, because what came free while it had the offer was nobody else's.
CREATE FUNCTION settle_offer() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    UPDATE notifications SET status = 'skipped', detail = 'the offer is over'
    WHERE booking_id = NEW.id AND kind = 'waitlist_offer' AND status IN ('pending', 'sending');
    IF NEW.status IN ('confirmed', 'pending') THEN
        UPDATE waitlist_entries SET status = 'fulfilled', updated_at = clock_timestamp() WHERE id = NEW.waitlist_entry_id;
    ELSIF NEW.status IN ('expired', 'payment_failed') THEN
        UPDATE waitlist_entries SET
            place = DEFAULT, missed = missed + 1, looked_at = NULL, updated_at = clock_timestamp(),
            status = CASE WHEN missed + 1 >= missed_at_most THEN 'closed' ELSE status END
        WHERE id = NEW.waitlist_entry_id AND status = 'waiting';
    ELSE
        UPDATE waitlist_entries SET looked_at = NULL WHERE id = NEW.waitlist_entry_id AND status = 'waiting';
    END IF;
    RETURN NULL;
END
$$;
CREATE TRIGGER offer_is_over AFTER UPDATE OF status ON bookings FOR EACH ROW
WHEN (
    NEW.waitlist_entry_id IS NOT NULL
    AND OLD.status IN ('holding', 'awaiting_payment') AND NEW.status NOT IN ('holding', 'awaiting_payment')
) EXECUTE FUNCTION settle_offer();

-- How many wait for the same and come earlier, and one more; null for whoever does not wait.
CREATE FUNCTION waitlist_position(entry uuid) RETURNS integer
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
    SELECT 1 + (
        SELECT count(*)::integer FROM waitlist_entries AS other
        WHERE other.service_id = own.service_id AND other.status = 'waiting' AND other.place < own.place
            AND other.span && own.span
            AND (other.mechanic_id IS NULL OR own.mechanic_id IS NULL OR other.mechanic_id = own.mechanic_id)
    )
    FROM waitlist_entries AS own WHERE own.id = entry AND own.status = 'waiting'
$$;

-- The first slot that an entry could have: of these mechanics, within the span, at these local times of day. By the one
-- predicate, less what the entry was offered before, and what is being offered at this moment. An entry that is not on
-- record yet is null. Slots are looked at three hundred at a time: nobody was offered so many of them before.
CREATE FUNCTION first_fit(
    service uuid, candidates uuid[], span tstzrange, zone text, earliest time, latest time, at timestamptz, entry uuid
) RETURNS TABLE (mechanic_id uuid, starts_at timestamptz, ends_at timestamptz)
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    part tstzrange;
BEGIN
    IF isempty(span) THEN
        RETURN;
    END IF;
    FOR part IN
        SELECT span WHERE earliest IS NULL
        UNION ALL
        -- An hour more at both ends, for days on which clocks change.
        SELECT span * tstzrange(
            (day + earliest - interval '1 hour') AT TIME ZONE zone, (day + latest + interval '61 minutes') AT TIME ZONE zone
        )
        FROM generate_series(
            (lower(span) AT TIME ZONE zone)::date::timestamp, (upper(span) AT TIME ZONE zone)::date::timestamp, interval '1 day'
        ) AS day
        WHERE earliest IS NOT NULL
    LOOP
        CONTINUE WHEN isempty(part);
        RETURN QUERY
        SELECT slot.mechanic_id, slot.starts_at, slot.ends_at
        FROM page_of_free_slots(service, candidates, part, at, NULL, NULL, 300) AS slot
        WHERE (earliest IS NULL OR (slot.starts_at AT TIME ZONE zone)::time BETWEEN earliest AND latest)
            AND NOT EXISTS (
                SELECT FROM bookings AS b
                WHERE b.mechanic_id = slot.mechanic_id AND b.waitlist_entry_id IS NOT NULL
                    AND b.starts_at > slot.starts_at - interval '1 day' AND b.starts_at < slot.ends_at
                    AND b.ends_at > slot.starts_at
                    AND (b.waitlist_entry_id = entry OR b.status = 'holding' AND b.hold_expires_at IS NULL)
            )
        ORDER BY slot.starts_at, slot.mechanic_id
        LIMIT 1;
        EXIT WHEN FOUND;
    END LOOP;
END
$$;

REVOKE EXECUTE ON FUNCTION note_freed, waitlist_position FROM PUBLIC;
GRANT EXECUTE ON FUNCTION note_freed TO pitstop_worker;
GRANT EXECUTE ON FUNCTION waitlist_position TO pitstop_api;

RESET ROLE;

-- migrate:down
SET LOCAL ROLE pitstop_owner;

DROP TRIGGER offer_is_over ON bookings;
DROP TRIGGER mechanic_is_back ON time_off;
DROP TRIGGER mechanic_takes_more ON mechanics;
DROP TRIGGER service_is_offered ON mechanic_services;
DROP TRIGGER hours_are_again_those_of_the_week ON date_exceptions;
DROP TRIGGER hours_are_added ON date_exceptions;
DROP TRIGGER hours_are_added ON availability_rules;
DROP TRIGGER slot_is_given_back ON slot_reservations;
DROP TRIGGER slot_comes_free ON slot_reservations;
DROP FUNCTION first_fit, waitlist_position, settle_offer, note_time_back, note_mechanic_changed, note_new_rules, note_freed_slot;
DROP FUNCTION note_freed, starts_around;
REVOKE INSERT (
    id, request_fingerprint, created_by, created_by_role, customer_id, customer_name, customer_email, customer_phone, country,
    city, postal_code, intake, timezone, service_id, plan_id, mechanic_id, preferred_mechanic_id, starts_at, ends_at,
    buffer_before_minutes, buffer_after_minutes, amount, currency, policy, sms_consent, language, reminder_offsets
) ON bookings FROM pitstop_worker;
REVOKE SELECT ON booking_policies FROM pitstop_worker;
-- squawk-ignore ban-drop-constraint
ALTER TABLE notifications DROP CONSTRAINT notifications_booking_id_fkey;
-- squawk-ignore adding-foreign-key-constraint, constraint-missing-not-valid
ALTER TABLE notifications ADD CONSTRAINT notifications_booking_id_fkey FOREIGN KEY (booking_id) REFERENCES bookings (id);
DROP POLICY own_entries ON waitlist_entries;
ALTER TABLE bookings DROP COLUMN waitlist_entry_id;
DROP TABLE freed_slots, waitlist_entries;

RESET ROLE;
