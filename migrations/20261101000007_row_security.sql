-- migrate:up
SET LOCAL lock_timeout = '5s';
SET LOCAL statement_timeout = '60s';
SET LOCAL ROLE pitstop_owner;

-- Who is asking, as the API says at the start of each transaction: set_config('pitstop.role' / 'pitstop.subject', …, true).
-- Nothing said means nobody, who sees nothing. The roles are those of the token, and two of the API's own: `link` (the
-- bearer of a signed manage link; the subject is the booking) and `webhook` (Stripe's events).
CREATE FUNCTION caller_role() RETURNS text
LANGUAGE sql STABLE AS $$ SELECT COALESCE(current_setting('pitstop.role', TRUE), '') $$;

CREATE FUNCTION caller() RETURNS text
LANGUAGE sql STABLE AS $$ SELECT COALESCE(current_setting('pitstop.subject', TRUE), '') $$;

-- FORCE: the owner is bound too. The owner's functions above may read times, no more.
DO $$
DECLARE
    guarded text;
BEGIN
    FOREACH guarded IN ARRAY ARRAY[
        'time_off', 'bookings', 'booking_events', 'sessions', 'slot_reservations', 'payments', 'refunds', 'webhook_inbox',
        'notifications'
    ] LOOP
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', guarded);
        EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', guarded);
    END LOOP;
END
$$;

CREATE POLICY times_for_availability ON slot_reservations FOR SELECT TO pitstop_owner USING (TRUE);
CREATE POLICY times_for_availability ON time_off FOR SELECT TO pitstop_owner USING (TRUE);

-- One rule says who sees a booking; everything that belongs to a booking is seen by those who see it.
CREATE POLICY own_bookings ON bookings FOR SELECT TO pitstop_api USING (
    CASE (SELECT caller_role())
        WHEN 'customer' THEN customer_id::text = (SELECT caller())
        WHEN 'mechanic' THEN mechanic_id::text = (SELECT caller())
        WHEN 'service' THEN created_by = (SELECT caller())
        WHEN 'link' THEN id::text = (SELECT caller())
        ELSE (SELECT caller_role()) = 'operator'
    END
);
-- A customer opens bookings for itself, a service for whom it names; operators book on behalf of a customer.
CREATE POLICY open_own_bookings ON bookings FOR INSERT TO pitstop_api WITH CHECK (
    status = 'holding' AND hold_expires_at IS NULL AND created_by = (SELECT caller())
    AND CASE (SELECT caller_role())
        WHEN 'customer' THEN customer_id::text = (SELECT caller())
        ELSE (SELECT caller_role()) IN ('service', 'operator')
    END
);
-- What was refused leaves nothing behind; what holds a slot cannot be removed.
CREATE POLICY withdraw_own_bookings ON bookings FOR DELETE TO pitstop_api USING (
    status = 'holding' AND hold_expires_at IS NULL AND created_by = (SELECT caller())
);

DO $$
DECLARE
    belonging text;
BEGIN
    FOREACH belonging IN ARRAY ARRAY['booking_events', 'sessions', 'slot_reservations', 'payments', 'refunds', 'notifications']
    LOOP
        EXECUTE format(
            'CREATE POLICY of_own_bookings ON %I FOR SELECT TO pitstop_api '
            'USING (EXISTS (SELECT FROM bookings WHERE bookings.id = %I.booking_id))', belonging, belonging
        );
    END LOOP;
END
$$;

CREATE POLICY own_time_off ON time_off FOR SELECT TO pitstop_api USING (
    (SELECT caller_role()) = 'operator'
    OR ((SELECT caller_role()) = 'mechanic' AND mechanic_id::text = (SELECT caller()))
);

CREATE POLICY webhooks ON webhook_inbox FOR ALL TO pitstop_api
USING ((SELECT caller_role()) = 'webhook') WITH CHECK ((SELECT caller_role()) = 'webhook');

-- The worker drives every booking, and changes nothing of the catalogue.
DO $$
DECLARE
    driven text;
BEGIN
    FOREACH driven IN ARRAY ARRAY[
        'bookings', 'booking_events', 'sessions', 'slot_reservations', 'payments', 'refunds', 'webhook_inbox', 'notifications'
    ] LOOP
        EXECUTE format('CREATE POLICY every_booking ON %I FOR ALL TO pitstop_worker USING (TRUE) WITH CHECK (TRUE)', driven);
        EXECUTE format('GRANT SELECT, INSERT, UPDATE ON %I TO pitstop_worker', driven);
    END LOOP;
END
$$;
GRANT DELETE ON bookings, slot_reservations TO pitstop_worker;

GRANT SELECT ON mechanics, services, plans, mechanic_services, availability_rules, status_transitions
TO pitstop_worker, pitstop_api;
GRANT SELECT ON
bookings, booking_events, sessions, slot_reservations, payments, refunds, notifications, time_off TO pitstop_api;
GRANT INSERT, DELETE ON bookings TO pitstop_api;
GRANT SELECT, INSERT, UPDATE ON webhook_inbox TO pitstop_api;

RESET ROLE;

-- migrate:down
DO $$
DECLARE
    policy record;
BEGIN
    FOR policy IN SELECT tablename, policyname FROM pg_policies WHERE schemaname = 'public' LOOP
        EXECUTE format('DROP POLICY %I ON %I', policy.policyname, policy.tablename);
        EXECUTE format('ALTER TABLE %I NO FORCE ROW LEVEL SECURITY, DISABLE ROW LEVEL SECURITY', policy.tablename);
    END LOOP;
END
$$;
DROP FUNCTION caller, caller_role;
