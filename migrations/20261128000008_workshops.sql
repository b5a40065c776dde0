-- migrate:up
SET LOCAL lock_timeout = '5s';
SET LOCAL statement_timeout = '60s';
SET LOCAL ROLE pitstop_owner;

ALTER TABLE workshops
    -- Where its mail goes; null: it looks into its dashboard.
    ADD COLUMN email text CHECK (email <> ''),
    -- Days of its dashboard are days here.
    ADD COLUMN timezone text NOT NULL DEFAULT 'UTC',
    -- How long it has for its word on a booking that is paid; null: bookings need none.
    ADD COLUMN confirms_within_minutes integer CHECK (confirms_within_minutes BETWEEN 15 AND 20160);
UPDATE workshops SET timezone = m.timezone
FROM (SELECT workshop_id, min(timezone) AS timezone FROM mechanics GROUP BY workshop_id) AS m
WHERE m.workshop_id = workshops.id;
CREATE TRIGGER known_timezone BEFORE INSERT OR UPDATE OF timezone ON workshops
FOR EACH ROW EXECUTE FUNCTION require_known_timezone();

-- A mechanic who speaks for its workshop. Operators say who.
ALTER TABLE mechanics ADD COLUMN keeps_workshop boolean NOT NULL DEFAULT FALSE;
-- squawk-ignore constraint-missing-not-valid
ALTER TABLE mechanics ADD CONSTRAINT keeps_a_workshop CHECK (NOT keeps_workshop OR workshop_id IS NOT NULL);
-- squawk-ignore require-concurrent-index-creation
CREATE INDEX mechanics_of_workshop ON mechanics (workshop_id) WHERE workshop_id IS NOT NULL;

-- The workshop that the caller speaks for; null: none.
CREATE FUNCTION kept_workshop() RETURNS uuid
LANGUAGE sql STABLE SET search_path = pg_catalog, public, pg_temp AS $$
    SELECT workshop_id FROM mechanics
    WHERE id = CASE WHEN caller_role() = 'mechanic' THEN caller()::uuid END AND keeps_workshop
$$;

ALTER TABLE workshops ENABLE ROW LEVEL SECURITY;
ALTER TABLE workshops FORCE ROW LEVEL SECURITY;
ALTER TABLE bays ENABLE ROW LEVEL SECURITY;
ALTER TABLE bays FORCE ROW LEVEL SECURITY;
CREATE POLICY for_all_to_read ON workshops FOR SELECT USING (TRUE);
CREATE POLICY for_all_to_read ON bays FOR SELECT USING (TRUE);
CREATE POLICY opened_by_operators ON workshops FOR INSERT TO pitstop_api WITH CHECK ((SELECT caller_role()) = 'operator');
CREATE POLICY kept_by_its_own ON workshops FOR UPDATE TO pitstop_api
USING ((SELECT caller_role()) = 'operator' OR id = (SELECT kept_workshop()))
WITH CHECK ((SELECT caller_role()) = 'operator' OR id = (SELECT kept_workshop()));
CREATE POLICY added_by_its_own ON bays FOR INSERT TO pitstop_api
WITH CHECK ((SELECT caller_role()) = 'operator' OR workshop_id = (SELECT kept_workshop()));
CREATE POLICY kept_by_its_own ON bays FOR UPDATE TO pitstop_api
USING ((SELECT caller_role()) = 'operator' OR workshop_id = (SELECT kept_workshop()))
WITH CHECK ((SELECT caller_role()) = 'operator' OR workshop_id = (SELECT kept_workshop()));
-- `keep_still` locks with its owner's rights, and changes nothing.
CREATE POLICY to_keep_still ON workshops FOR UPDATE TO pitstop_owner USING (TRUE) WITH CHECK (FALSE);
GRANT INSERT (name, country, city, postal_code, address, email, timezone, confirms_within_minutes),
UPDATE (name, country, city, postal_code, address, email, timezone, confirms_within_minutes) ON workshops TO pitstop_api;
GRANT INSERT (workshop_id, name), UPDATE (name, active) ON bays TO pitstop_api;

-- A mechanic may change its own row, but not where it works and whether it speaks for the workshop: those columns are written
-- by this function only, for operators. It takes the mechanic's row, as holds do.
CREATE POLICY assigned_by_operators ON mechanics FOR UPDATE TO pitstop_owner
USING ((SELECT caller_role()) = 'operator') WITH CHECK ((SELECT caller_role()) = 'operator');
CREATE FUNCTION assign_to_workshop(mechanic uuid, workshop uuid, keeps boolean) RETURNS uuid
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
    UPDATE mechanics SET workshop_id = workshop, keeps_workshop = keeps AND workshop IS NOT NULL
    WHERE id = mechanic AND caller_role() = 'operator'
    RETURNING id
$$;
REVOKE EXECUTE ON FUNCTION assign_to_workshop FROM PUBLIC;
GRANT EXECUTE ON FUNCTION assign_to_workshop TO pitstop_api;

-- What a mechanic recommends in a virtual session: an appointment in person, which the customer books by a link.
CREATE TABLE referrals (
    id uuid PRIMARY KEY,
    booking_id uuid NOT NULL REFERENCES bookings (id),
    -- Those of the booking, so that who sees a referral is said without it.
    customer_id uuid NOT NULL,
    opened_by_service text,
    made_by uuid,
    service_id uuid NOT NULL REFERENCES services (id),
    plan_id uuid NOT NULL REFERENCES plans (id),
    workshop_id uuid REFERENCES workshops (id),
    mechanic_id uuid REFERENCES mechanics (id),
    start timestamptz,
    -- In the mechanic's words, for the customer.
    note text CHECK (length(note) BETWEEN 1 AND 1000),
    made_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL CHECK (expires_at > made_at)
);
CREATE INDEX referrals_of_booking ON referrals (booking_id);
CREATE INDEX referrals_to_workshop ON referrals (workshop_id, made_at);

ALTER TABLE bookings
    -- The workshop whose bay it holds, or held; null: not in person, or not held yet.
    -- squawk-ignore adding-foreign-key-constraint
    ADD COLUMN workshop_id uuid REFERENCES workshops (id),
    -- That workshop's period, as it was when the bay was taken.
    ADD COLUMN confirms_within_minutes integer CHECK (confirms_within_minutes > 0),
    -- Null: the workshop's word is not needed. `proposed`: the customer's word on other times is waited for.
    ADD COLUMN workshop_status text
    CHECK (workshop_status IN ('awaiting', 'proposed', 'confirmed', 'declined', 'lapsed')),
    -- Until when the answer is waited for, the workshop's or the customer's.
    ADD COLUMN workshop_answer_by timestamptz,
    -- squawk-ignore adding-foreign-key-constraint
    ADD COLUMN referral_id uuid REFERENCES referrals (id),
    -- The virtual booking whose mechanic has referred the customer.
    -- squawk-ignore adding-foreign-key-constraint
    ADD COLUMN referred_from uuid REFERENCES bookings (id);
ALTER TABLE bookings
    -- squawk-ignore constraint-missing-not-valid
    ADD CONSTRAINT answer_is_waited_for CHECK (
        (workshop_answer_by IS NOT NULL) = (workshop_status IS NOT NULL AND workshop_status IN ('awaiting', 'proposed'))
    ),
    -- squawk-ignore constraint-missing-not-valid
    ADD CONSTRAINT referred_by_a_referral CHECK ((referral_id IS NULL) = (referred_from IS NULL));

ALTER TABLE bookings NO FORCE ROW LEVEL SECURITY;
ALTER TABLE slot_reservations NO FORCE ROW LEVEL SECURITY;
ALTER TABLE bookings DISABLE TRIGGER USER;
UPDATE bookings AS b SET workshop_id = held.workshop_id
FROM (
    SELECT DISTINCT ON (r.booking_id) r.booking_id, bays.workshop_id
    FROM slot_reservations AS r
    JOIN bays ON bays.id = r.bay_id
    ORDER BY r.booking_id, r.created_at DESC
) AS held
WHERE held.booking_id = b.id;
ALTER TABLE bookings ENABLE TRIGGER USER;
ALTER TABLE slot_reservations FORCE ROW LEVEL SECURITY;
ALTER TABLE bookings FORCE ROW LEVEL SECURITY;

-- squawk-ignore require-concurrent-index-creation
CREATE INDEX bookings_of_workshop ON bookings (workshop_id, starts_at) WHERE workshop_id IS NOT NULL;
-- squawk-ignore require-concurrent-index-creation
CREATE INDEX bookings_to_answer ON bookings (workshop_answer_by)
WHERE status = 'confirmed' AND workshop_status IN ('awaiting', 'proposed');
-- A referral is used once. What came to nothing gives it back.
-- squawk-ignore require-concurrent-index-creation
CREATE UNIQUE INDEX one_booking_of_a_referral ON bookings (referral_id)
WHERE status NOT IN ('expired', 'payment_failed', 'cancelled', 'refunded');
-- squawk-ignore require-concurrent-index-creation
CREATE INDEX bookings_referred_from ON bookings (referred_from) WHERE referred_from IS NOT NULL;

-- Whoever keeps a workshop sees what takes place there, whichever mechanic does it.
CREATE POLICY in_kept_workshop ON bookings FOR SELECT TO pitstop_api USING (workshop_id = (SELECT kept_workshop()));
-- And gives the workshop's word on it, no more: what is another mechanic's to ask stays that mechanic's.
CREATE POLICY of_ones_office ON booking_changes AS RESTRICTIVE FOR INSERT TO pitstop_api WITH CHECK (
    CASE
        WHEN kind ~ '^workshop_' THEN (SELECT caller_role()) = 'operator' OR EXISTS (
            SELECT FROM bookings AS b WHERE b.id = booking_changes.booking_id AND b.workshop_id = (SELECT kept_workshop())
        )
        WHEN (SELECT caller_role()) = 'mechanic' THEN NOT EXISTS (
            SELECT FROM bookings AS b
            WHERE b.id = booking_changes.booking_id
                AND b.workshop_id = (SELECT kept_workshop()) AND b.mechanic_id::text <> (SELECT caller())
        )
        ELSE TRUE
    END
);

ALTER TABLE referrals ENABLE ROW LEVEL SECURITY;
ALTER TABLE referrals FORCE ROW LEVEL SECURITY;
CREATE POLICY own_referrals ON referrals FOR SELECT TO pitstop_api USING (
    CASE (SELECT caller_role())
        WHEN 'customer' THEN customer_id::text = (SELECT caller())
        WHEN 'mechanic' THEN made_by::text = (SELECT caller()) OR workshop_id = (SELECT kept_workshop())
        WHEN 'service' THEN opened_by_service = (SELECT caller())
        WHEN 'link' THEN booking_id::text = (SELECT caller())
        -- The bearer of its own link.
        WHEN 'referral' THEN id::text = (SELECT caller())
        ELSE (SELECT caller_role()) = 'operator'
    END
);
-- Made by the mechanic of the session, or an operator.
CREATE POLICY refer_from_own_session ON referrals FOR INSERT TO pitstop_api WITH CHECK (
    CASE (SELECT caller_role())
        WHEN 'mechanic' THEN made_by::text = (SELECT caller())
        ELSE (SELECT caller_role()) = 'operator' AND made_by IS NULL
    END AND EXISTS (
        SELECT FROM bookings AS b
        WHERE b.id = referrals.booking_id AND b.customer_id = referrals.customer_id
            AND (referrals.made_by IS NULL OR b.mechanic_id = referrals.made_by)
    )
);
CREATE POLICY every_booking ON referrals FOR ALL TO pitstop_worker USING (TRUE) WITH CHECK (TRUE);
CREATE POLICY audited ON referrals FOR SELECT TO pitstop_audit USING (TRUE);
GRANT SELECT ON referrals TO pitstop_api, pitstop_worker;
GRANT INSERT (
    id, booking_id, customer_id, opened_by_service, made_by, service_id, plan_id, workshop_id, mechanic_id, start, note, made_at,
    expires_at
) ON referrals TO pitstop_api;
GRANT UPDATE (note) ON referrals TO pitstop_worker;
GRANT SELECT (id, booking_id, customer_id, service_id) ON referrals TO pitstop_audit;
-- What a request says of workshop and referral fits: the first is the hold's to say, the second the customer's own.
CREATE POLICY by_own_referral ON bookings AS RESTRICTIVE FOR INSERT TO pitstop_api WITH CHECK (
    workshop_id IS NULL AND workshop_status IS NULL AND confirms_within_minutes IS NULL
    AND (referral_id IS NULL OR EXISTS (
        SELECT FROM referrals AS r
        WHERE r.id = bookings.referral_id AND r.customer_id = bookings.customer_id AND r.booking_id = bookings.referred_from
            AND r.service_id = bookings.service_id
    ))
);

-- squawk-ignore ban-drop-constraint
ALTER TABLE notifications DROP CONSTRAINT notifications_kind_check;
-- squawk-ignore constraint-missing-not-valid
ALTER TABLE notifications ADD CONSTRAINT notifications_kind_check CHECK (kind IN (
    'confirmation', 'reminder', 'cancellation', 'refund', 'rescheduled', 'proposal', 'handed_over', 'at_risk',
    'waiver_request', 'not_taken', 'taken', 'no_show', 'waitlist_offer', 'workshop_request', 'workshop_proposal',
    'workshop_declined', 'workshop_asked', 'referral'
));

-- A referral and the mail that tells of it are on record together.
CREATE POLICY of_referrals ON notifications FOR INSERT TO pitstop_owner WITH CHECK (kind = 'referral');
CREATE POLICY of_referrals ON booking_events FOR INSERT TO pitstop_owner WITH CHECK (event = 'referred');
CREATE FUNCTION tell_of_referral() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    INSERT INTO booking_events (booking_id, at, event, detail) VALUES (
        NEW.booking_id, NEW.made_at, 'referred',
        jsonb_build_object('by', caller_role(), 'referral_id', NEW.id, 'service_id', NEW.service_id, 'notices', 1)
    );
    INSERT INTO notifications (key, booking_id, kind, status)
    VALUES (NEW.booking_id || '/referral/' || NEW.id, NEW.booking_id, 'referral', 'pending');
    RETURN NULL;
END
$$;
REVOKE EXECUTE ON FUNCTION tell_of_referral FROM PUBLIC;
CREATE TRIGGER told AFTER INSERT ON referrals FOR EACH ROW EXECUTE FUNCTION tell_of_referral();

-- Times that the workshop proposes are held while the customer decides: rows of the same booking, which block as holds do,
-- until the proposal ends. Null: the booking's own.
-- squawk-ignore adding-foreign-key-constraint
ALTER TABLE slot_reservations ADD COLUMN proposal_id uuid REFERENCES proposals (id) ON DELETE CASCADE;
-- squawk-ignore require-concurrent-index-deletion
DROP INDEX one_live_reservation_of_a_booking;
-- squawk-ignore require-concurrent-index-creation
CREATE UNIQUE INDEX one_live_reservation_of_a_booking ON slot_reservations (booking_id)
WHERE status IN ('reserved', 'confirmed') AND proposal_id IS NULL;

GRANT UPDATE (workshop_id, confirms_within_minutes, workshop_status, workshop_answer_by) ON bookings TO pitstop_worker;
GRANT INSERT (proposal_id) ON slot_reservations TO pitstop_worker;
GRANT SELECT (workshop_id, workshop_status, workshop_answer_by, customer_id, referral_id, referred_from)
ON bookings TO pitstop_audit;

RESET ROLE;

-- migrate:down
SET LOCAL ROLE pitstop_owner;
REVOKE SELECT (workshop_id, workshop_status, workshop_answer_by, referral_id, referred_from) ON bookings FROM pitstop_audit;
DELETE FROM slot_reservations WHERE proposal_id IS NOT NULL;
-- squawk-ignore require-concurrent-index-deletion
DROP INDEX one_live_reservation_of_a_booking;
ALTER TABLE slot_reservations DROP COLUMN proposal_id;
-- squawk-ignore require-concurrent-index-creation
CREATE UNIQUE INDEX one_live_reservation_of_a_booking ON slot_reservations (booking_id)
WHERE status IN ('reserved', 'confirmed');
DROP TRIGGER told ON referrals;
DROP FUNCTION tell_of_referral;
DROP POLICY of_referrals ON booking_events;
DROP POLICY of_referrals ON notifications;
DELETE FROM notifications WHERE kind IN ('workshop_asked', 'referral');
-- squawk-ignore ban-drop-constraint
ALTER TABLE notifications DROP CONSTRAINT notifications_kind_check;
-- squawk-ignore constraint-missing-not-valid
ALTER TABLE notifications ADD CONSTRAINT notifications_kind_check CHECK (kind IN (
    'confirmation', 'reminder', 'cancellation', 'refund', 'rescheduled', 'proposal', 'handed_over', 'at_risk',
    'waiver_request', 'not_taken', 'taken', 'no_show', 'waitlist_offer', 'workshop_request', 'workshop_proposal',
    'workshop_declined'
));
DROP POLICY by_own_referral ON bookings;
DROP POLICY in_kept_workshop ON bookings;
DROP POLICY of_ones_office ON booking_changes;
-- squawk-ignore require-concurrent-index-deletion
DROP INDEX one_booking_of_a_referral, bookings_referred_from, bookings_to_answer, bookings_of_workshop;
ALTER TABLE bookings
    DROP COLUMN referral_id, DROP COLUMN referred_from, DROP COLUMN workshop_answer_by, DROP COLUMN workshop_status,
    DROP COLUMN confirms_within_minutes, DROP COLUMN workshop_id;
DROP TABLE referrals;
DROP FUNCTION assign_to_workshop;
DROP POLICY assigned_by_operators ON mechanics;
DO $$
DECLARE
    policy record;
BEGIN
    FOR policy IN
        SELECT tablename, policyname FROM pg_policies WHERE schemaname = 'public' AND tablename IN ('workshops', 'bays')
    LOOP
        EXECUTE format('DROP POLICY %I ON %I', policy.policyname, policy.tablename);
    END LOOP;
END
$$;
ALTER TABLE workshops NO FORCE ROW LEVEL SECURITY, DISABLE ROW LEVEL SECURITY;
ALTER TABLE bays NO FORCE ROW LEVEL SECURITY, DISABLE ROW LEVEL SECURITY;
REVOKE INSERT, UPDATE (name, country, city, postal_code, address) ON workshops FROM pitstop_api;
REVOKE INSERT (name, country, city, postal_code, address) ON workshops FROM pitstop_api;
REVOKE INSERT (workshop_id, name), UPDATE (name, active) ON bays FROM pitstop_api;
DROP FUNCTION kept_workshop;
-- squawk-ignore require-concurrent-index-deletion
DROP INDEX mechanics_of_workshop;
ALTER TABLE mechanics DROP COLUMN keeps_workshop;
DROP TRIGGER known_timezone ON workshops;
ALTER TABLE workshops DROP COLUMN confirms_within_minutes, DROP COLUMN timezone, DROP COLUMN email;
RESET ROLE;
