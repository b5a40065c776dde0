-- migrate:up
SET LOCAL lock_timeout = '5s';
SET LOCAL statement_timeout = '60s';
SET LOCAL ROLE pitstop_owner;

-- Where in-person sessions take place. A session holds its mechanic and one of the workshop's bays, both in one row.
CREATE TABLE workshops (
    id uuid PRIMARY KEY DEFAULT uuidv7(),
    name text NOT NULL CHECK (name <> ''),
    country text NOT NULL CHECK (country ~ '^[A-Z]{2}$'),
    city text NOT NULL,
    postal_code text NOT NULL,
    address text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE bays (
    id uuid PRIMARY KEY DEFAULT uuidv7(),
    workshop_id uuid NOT NULL REFERENCES workshops (id),
    name text NOT NULL CHECK (name <> ''),
    -- A bay that is out of use takes no new bookings; those that it has stand.
    active boolean NOT NULL DEFAULT TRUE,
    UNIQUE (workshop_id, name)
);

-- A country's public holidays, or those of a part of it, as the `holidays` library knows them; the region is its code in
-- ISO 3166 (CA, CA-ON). A region is complete from `since` through `through`: days in between that are not here are none.
-- Laws and the library change: on each day the first look at a region that is in use replaces its days to come.
CREATE TABLE holiday_calendars (
    region text PRIMARY KEY CHECK (region ~ '^[A-Z]{2}(-[A-Z0-9]{1,3})?$'),
    since date NOT NULL,
    through date NOT NULL CHECK (through > since),
    refreshed_on date NOT NULL
);

CREATE TABLE public_holidays (
    region text NOT NULL REFERENCES holiday_calendars (region) ON DELETE CASCADE,
    day date NOT NULL,
    name text NOT NULL,
    PRIMARY KEY (region, day)
);

ALTER TABLE mechanics
    -- Null: none. The bays of in-person sessions are this workshop's.
    -- squawk-ignore adding-foreign-key-constraint
    ADD COLUMN workshop_id uuid REFERENCES workshops (id),
    -- Null: as many as there is time for. A session counts for the day on which it starts, where the mechanic works.
    ADD COLUMN max_sessions_per_day integer CHECK (max_sessions_per_day BETWEEN 1 AND 96),
    -- The public holidays that the mechanic takes as days off; null: none.
    -- squawk-ignore adding-foreign-key-constraint
    ADD COLUMN holiday_region text REFERENCES holiday_calendars (region);

-- A mechanic may want more time around a session than the service asks for, not less: the longer of the two holds.
ALTER TABLE mechanic_services
    ADD COLUMN buffer_before_minutes integer NOT NULL DEFAULT 0 CHECK (buffer_before_minutes BETWEEN 0 AND 1440),
    ADD COLUMN buffer_after_minutes integer NOT NULL DEFAULT 0 CHECK (buffer_after_minutes BETWEEN 0 AND 1440);

-- A date with hours of its own. It has these and no others: not those of its weekday, not those of a public holiday, and not
-- what began the evening before. No hours: a day off. A span that ends at or before its start runs into the next day.
CREATE TABLE date_exceptions (
    mechanic_id uuid NOT NULL REFERENCES mechanics (id),
    day date NOT NULL,
    opens time[] NOT NULL DEFAULT '{}',
    closes time[] NOT NULL DEFAULT '{}',
    PRIMARY KEY (mechanic_id, day),
    CHECK (cardinality(opens) = cardinality(closes)),
    CHECK (array_position(opens, NULL) IS NULL AND array_position(closes, NULL) IS NULL)
);

-- Grids of starts are counted from local midnight.
COMMENT ON COLUMN services.step_minutes IS
'Starts lie on a grid of this many minutes, counted from midnight where the mechanic is.';

-- Until now the mechanic''s address was the place of in-person sessions: it becomes a workshop of one bay.
DO $$
DECLARE
    owner record;
    made uuid;
BEGIN
    FOR owner IN
        SELECT m.* FROM mechanics AS m
        WHERE EXISTS (
            SELECT FROM mechanic_services AS ms
            JOIN services AS s ON s.id = ms.service_id AND s.kind = 'in_person'
            WHERE ms.mechanic_id = m.id
        )
    LOOP
        INSERT INTO workshops (name, country, city, postal_code, address)
        VALUES (owner.address, owner.country, owner.city, owner.postal_code, owner.address)
        RETURNING id INTO made;
        INSERT INTO bays (workshop_id, name) VALUES (made, '1');
        UPDATE mechanics SET workshop_id = made WHERE id = owner.id;
    END LOOP;
END
$$;

-- A new column is empty: nothing is scanned for it.
-- squawk-ignore adding-foreign-key-constraint
ALTER TABLE slot_reservations ADD COLUMN bay_id uuid REFERENCES bays (id);
ALTER TABLE slot_reservations NO FORCE ROW LEVEL SECURITY;
ALTER TABLE bookings NO FORCE ROW LEVEL SECURITY;
ALTER TABLE slot_reservations DISABLE TRIGGER USER;
UPDATE slot_reservations AS r
SET bay_id = bays.id
FROM bookings AS b, services AS s, mechanics AS m, bays
WHERE b.id = r.booking_id AND s.id = b.service_id AND s.kind = 'in_person'
    AND m.id = r.mechanic_id AND bays.workshop_id = m.workshop_id
    AND r.status IN ('reserved', 'confirmed');
ALTER TABLE slot_reservations ENABLE TRIGGER USER;
ALTER TABLE bookings FORCE ROW LEVEL SECURITY;
ALTER TABLE slot_reservations FORCE ROW LEVEL SECURITY;

-- As for mechanics: two live rows of a bay never overlap. Reading the live rows of a bay uses its index.
-- squawk-ignore constraint-missing-not-valid
ALTER TABLE slot_reservations ADD CONSTRAINT one_booking_in_a_bay EXCLUDE USING gist (bay_id WITH =, blocked WITH &&)
WHERE (status IN ('reserved', 'confirmed') AND bay_id IS NOT NULL);

-- Who has been booked last, and how much in a week, decides between mechanics who could both do it.
-- squawk-ignore require-concurrent-index-creation
CREATE INDEX live_reservations_of_mechanic ON slot_reservations (mechanic_id, starts_at)
WHERE status IN ('reserved', 'confirmed');
-- squawk-ignore require-concurrent-index-creation
CREATE INDEX last_reservation_of_mechanic ON slot_reservations (mechanic_id, created_at)
WHERE status IN ('reserved', 'confirmed');

-- Mechanics alone set their rules. Everybody may read them: they show in the search anyway.
DO $$
DECLARE
    ruled text;
    own text;
BEGIN
    FOREACH ruled IN ARRAY ARRAY['mechanics', 'mechanic_services', 'availability_rules', 'date_exceptions'] LOOP
        own := format(
            '(SELECT caller_role()) = ''mechanic'' AND %I::text = (SELECT caller())',
            CASE ruled WHEN 'mechanics' THEN 'id' ELSE 'mechanic_id' END
        );
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY', ruled);
        EXECUTE format('CREATE POLICY for_all_to_read ON %I FOR SELECT USING (TRUE)', ruled);
        EXECUTE format('CREATE POLICY own_rules ON %I TO pitstop_api USING (%s) WITH CHECK (%s)', ruled, own, own);
    END LOOP;
END
$$;
-- Who locks a row has to be able to change it; `keep_still` locks with its owner's rights, and changes nothing.
CREATE POLICY to_keep_still ON mechanics FOR UPDATE TO pitstop_owner USING (TRUE) WITH CHECK (FALSE);
CREATE POLICY own_time_off_to_set ON time_off TO pitstop_api
USING ((SELECT caller_role()) = 'mechanic' AND mechanic_id::text = (SELECT caller()))
WITH CHECK ((SELECT caller_role()) = 'mechanic' AND mechanic_id::text = (SELECT caller()));

GRANT SELECT ON workshops, bays, holiday_calendars, public_holidays, date_exceptions TO pitstop_api, pitstop_worker;
GRANT UPDATE (timezone, minimum_notice_minutes, horizon_days, online, max_sessions_per_day, holiday_region)
ON mechanics TO pitstop_api;
GRANT INSERT, DELETE ON availability_rules, date_exceptions, mechanic_services, time_off TO pitstop_api;
-- Holidays are filled in when a mechanic names a region, and by the sweep as the years go by.
GRANT INSERT, UPDATE (through, refreshed_on) ON holiday_calendars TO pitstop_api, pitstop_worker;
GRANT INSERT, DELETE ON public_holidays TO pitstop_api, pitstop_worker;
-- Which mechanic of several gets the booking is decided with the hold, and with it the buffers and the bay.
GRANT UPDATE (mechanic_id, buffer_before_minutes, buffer_after_minutes) ON bookings TO pitstop_worker;
GRANT INSERT (bay_id) ON slot_reservations TO pitstop_worker;
-- The audit looks whether what is in person has its bay.
GRANT SELECT (service_id) ON bookings TO pitstop_audit;
GRANT SELECT (id, kind) ON services TO pitstop_audit;
-- And whether mails tell the time that the database goes by.
GRANT SELECT (id, timezone) ON mechanics TO pitstop_audit;

RESET ROLE;

-- migrate:down
SET LOCAL ROLE pitstop_owner;

REVOKE SELECT (id, timezone) ON mechanics FROM pitstop_audit;
REVOKE SELECT (service_id) ON bookings FROM pitstop_audit;
REVOKE SELECT (id, kind) ON services FROM pitstop_audit;
REVOKE INSERT (bay_id) ON slot_reservations FROM pitstop_worker;
REVOKE UPDATE (mechanic_id, buffer_before_minutes, buffer_after_minutes) ON bookings FROM pitstop_worker;
REVOKE INSERT, DELETE ON availability_rules, mechanic_services, time_off FROM pitstop_api;
REVOKE UPDATE (timezone, minimum_notice_minutes, horizon_days, online, max_sessions_per_day, holiday_region)
ON mechanics FROM pitstop_api;
DROP POLICY own_time_off_to_set ON time_off;
DROP POLICY to_keep_still ON mechanics;
DO $$
DECLARE
    ruled text;
BEGIN
    FOREACH ruled IN ARRAY ARRAY['mechanics', 'mechanic_services', 'availability_rules'] LOOP
        EXECUTE format('DROP POLICY for_all_to_read ON %I', ruled);
        EXECUTE format('DROP POLICY own_rules ON %I', ruled);
        EXECUTE format('ALTER TABLE %I DISABLE ROW LEVEL SECURITY, NO FORCE ROW LEVEL SECURITY', ruled);
    END LOOP;
END
$$;
-- squawk-ignore require-concurrent-index-deletion
DROP INDEX last_reservation_of_mechanic, live_reservations_of_mechanic;
ALTER TABLE slot_reservations DROP COLUMN bay_id;
ALTER TABLE mechanic_services DROP COLUMN buffer_before_minutes, DROP COLUMN buffer_after_minutes;
ALTER TABLE mechanics DROP COLUMN workshop_id, DROP COLUMN max_sessions_per_day, DROP COLUMN holiday_region;
DROP TABLE date_exceptions, public_holidays, holiday_calendars, bays, workshops;

RESET ROLE;
