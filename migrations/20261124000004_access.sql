-- migrate:up
SET LOCAL lock_timeout = '5s';
SET LOCAL statement_timeout = '60s';

-- Nobody but the roles of the product enters: not the database, not its schema. Temporary tables and functions could stand
-- in the way of the product's own, so the roles that serve requests make none.
DO $$
DECLARE
    ours name;
BEGIN
    EXECUTE format('REVOKE ALL ON DATABASE %I FROM PUBLIC', current_database());
    FOR ours IN SELECT rolname FROM pg_roles WHERE rolname ^@ 'pitstop_' AND rolname <> 'pitstop_owner' LOOP
        EXECUTE format('GRANT CONNECT ON DATABASE %I TO %I', current_database(), ours);
    END LOOP;
END
$$;
REVOKE ALL ON SCHEMA public FROM PUBLIC;

SET LOCAL ROLE pitstop_owner;

-- A subject alone does not say who made a booking: a service may be called what a customer is. Rows that were not written
-- for a caller, but by hand, have no role; services do not see them.
ALTER TABLE bookings ADD COLUMN created_by_role text
CONSTRAINT known_creator CHECK (created_by_role IN ('customer', 'service', 'operator'));
ALTER TABLE bookings ALTER COLUMN created_by_role SET DEFAULT NULLIF(caller_role(), '');

-- What is there already: a customer has booked under its own id. Others were services, or operators, who see it anyway.
ALTER TABLE bookings NO FORCE ROW LEVEL SECURITY;
ALTER TABLE bookings DISABLE TRIGGER USER;
UPDATE bookings
SET created_by_role = CASE WHEN created_by = customer_id::text THEN 'customer' ELSE 'service' END;
ALTER TABLE bookings ENABLE TRIGGER USER;
ALTER TABLE bookings FORCE ROW LEVEL SECURITY;

ALTER POLICY own_bookings ON bookings USING (
    CASE (SELECT caller_role())
        WHEN 'customer' THEN customer_id::text = (SELECT caller())
        WHEN 'mechanic' THEN mechanic_id::text = (SELECT caller())
        WHEN 'service' THEN created_by = (SELECT caller()) AND created_by_role = 'service'
        WHEN 'link' THEN id::text = (SELECT caller())
        ELSE (SELECT caller_role()) = 'operator'
    END
);
ALTER POLICY open_own_bookings ON bookings WITH CHECK (
    status = 'holding' AND hold_expires_at IS NULL
    AND created_by = (SELECT caller()) AND created_by_role = (SELECT caller_role())
    AND CASE (SELECT caller_role())
        WHEN 'customer' THEN customer_id::text = (SELECT caller())
        ELSE (SELECT caller_role()) IN ('service', 'operator')
    END
);
ALTER POLICY withdraw_own_bookings ON bookings USING (
    status = 'holding' AND hold_expires_at IS NULL
    AND created_by = (SELECT caller()) AND created_by_role = (SELECT caller_role())
);

-- The client secret is for whoever pays: the customer, by its token or its link, and the service or the operator who opened
-- the booking for it. The mechanic and other operators see the payment without it. Columns know no callers, so the API's
-- role reads it through a function, whose owner sees what these two policies let it see.
CREATE POLICY bookings_to_pay_for ON bookings FOR SELECT TO pitstop_owner USING (
    CASE (SELECT caller_role())
        WHEN 'customer' THEN customer_id::text = (SELECT caller())
        WHEN 'link' THEN id::text = (SELECT caller())
        ELSE (SELECT caller_role()) IN ('service', 'operator')
        AND created_by = (SELECT caller()) AND created_by_role = (SELECT caller_role())
    END
);
CREATE POLICY of_bookings_to_pay_for ON payments FOR SELECT TO pitstop_owner
USING (EXISTS (SELECT FROM bookings WHERE bookings.id = payments.booking_id));

CREATE FUNCTION client_secret_of(booking uuid) RETURNS text
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
    SELECT client_secret FROM payments WHERE booking_id = booking
$$;

REVOKE SELECT ON payments FROM pitstop_api;
GRANT SELECT (
    payment_intent_id, booking_id, amount, currency, status, failure_code, paid_at, created_at, updated_at
) ON payments TO pitstop_api;

-- What runs with its owner's rights is for the roles of the product.
REVOKE EXECUTE ON FUNCTION weekly_hours, time_away, blocked_time, client_secret_of FROM PUBLIC;
GRANT EXECUTE ON FUNCTION weekly_hours, time_away, blocked_time TO pitstop_api, pitstop_worker;
GRANT EXECUTE ON FUNCTION client_secret_of TO pitstop_api;

-- The worker writes the columns that its steps write. It stores no webhook, and a price stays as it was.
REVOKE INSERT, UPDATE ON
bookings, booking_events, sessions, slot_reservations, payments, refunds, webhook_inbox, notifications FROM pitstop_worker;
GRANT UPDATE (status, hold_expires_at, invite_sequence) ON bookings TO pitstop_worker;
GRANT INSERT (booking_id, at, event, detail) ON booking_events TO pitstop_worker;
GRANT INSERT (
    booking_id, kind, status, plan_id, intake, price_paid, currency, slot_reservation_id, customer_id, mechanic_id,
    preferred_mechanic_id, country, city, postal_code, scheduled_for, scheduled_for_original
), UPDATE (status) ON sessions TO pitstop_worker;
GRANT INSERT (id, booking_id, mechanic_id, starts_at, ends_at, blocked, status, expires_at), UPDATE (status, session_id)
ON slot_reservations TO pitstop_worker;
GRANT INSERT (payment_intent_id, booking_id, amount, currency, client_secret, status),
UPDATE (status, failure_code, paid_at, updated_at) ON payments TO pitstop_worker;
GRANT INSERT (idempotency_key, booking_id, payment_intent_id, amount, reason, requested_at),
UPDATE (stripe_refund_id, refunded_at) ON refunds TO pitstop_worker;
GRANT UPDATE (applied_at, outcome) ON webhook_inbox TO pitstop_worker;
GRANT INSERT (key, booking_id, kind, status, due_at, detail), UPDATE (status, attempts, sent_at, detail)
ON notifications TO pitstop_worker;
-- What the erasure of a customer's data makes empty.
GRANT UPDATE (
    customer_name, customer_email, customer_phone, city, postal_code, intake, request_fingerprint, erased_at
) ON bookings TO pitstop_worker;
GRANT UPDATE (city, postal_code, intake) ON sessions TO pitstop_worker;
GRANT UPDATE (detail) ON booking_events TO pitstop_worker;
GRANT UPDATE (client_secret, erased_at) ON payments TO pitstop_worker;
GRANT UPDATE (payload) ON webhook_inbox TO pitstop_worker;
-- What happened when; it has no use for the numbers of the entries.
REVOKE SELECT ON booking_events FROM pitstop_worker;
GRANT SELECT (booking_id, at, event, detail) ON booking_events TO pitstop_worker;

-- The API stores webhooks and notes what became of them.
REVOKE INSERT, UPDATE ON webhook_inbox FROM pitstop_api;
GRANT INSERT (event_id, type, booking_id, payload, applied_at, outcome), UPDATE (event_id, applied_at, outcome)
ON webhook_inbox TO pitstop_api;

RESET ROLE;

-- migrate:down
SET LOCAL ROLE pitstop_owner;

REVOKE ALL ON webhook_inbox, payments FROM pitstop_api;
GRANT SELECT, INSERT, UPDATE ON webhook_inbox TO pitstop_api;
GRANT SELECT ON payments TO pitstop_api;
DO $$
DECLARE
    driven text;
BEGIN
    FOREACH driven IN ARRAY ARRAY[
        'bookings', 'booking_events', 'sessions', 'slot_reservations', 'payments', 'refunds', 'webhook_inbox', 'notifications'
    ] LOOP
        EXECUTE format('REVOKE ALL ON %I FROM pitstop_worker', driven);
        EXECUTE format('GRANT SELECT, INSERT, UPDATE ON %I TO pitstop_worker', driven);
    END LOOP;
END
$$;
GRANT DELETE ON bookings, slot_reservations TO pitstop_worker;

GRANT EXECUTE ON FUNCTION weekly_hours, time_away, blocked_time TO PUBLIC;
REVOKE EXECUTE ON FUNCTION weekly_hours, time_away, blocked_time FROM pitstop_api, pitstop_worker;
DROP FUNCTION client_secret_of;
DROP POLICY of_bookings_to_pay_for ON payments;
DROP POLICY bookings_to_pay_for ON bookings;

ALTER POLICY own_bookings ON bookings USING (
    CASE (SELECT caller_role())
        WHEN 'customer' THEN customer_id::text = (SELECT caller())
        WHEN 'mechanic' THEN mechanic_id::text = (SELECT caller())
        WHEN 'service' THEN created_by = (SELECT caller())
        WHEN 'link' THEN id::text = (SELECT caller())
        ELSE (SELECT caller_role()) = 'operator'
    END
);
ALTER POLICY open_own_bookings ON bookings WITH CHECK (
    status = 'holding' AND hold_expires_at IS NULL AND created_by = (SELECT caller())
    AND CASE (SELECT caller_role())
        WHEN 'customer' THEN customer_id::text = (SELECT caller())
        ELSE (SELECT caller_role()) IN ('service', 'operator')
    END
);
ALTER POLICY withdraw_own_bookings ON bookings USING (
    status = 'holding' AND hold_expires_at IS NULL AND created_by = (SELECT caller())
);
ALTER TABLE bookings DROP COLUMN created_by_role;

RESET ROLE;
GRANT USAGE ON SCHEMA public TO PUBLIC;
DO $$
DECLARE
    ours name;
BEGIN
    FOR ours IN SELECT rolname FROM pg_roles WHERE rolname ^@ 'pitstop_' AND rolname <> 'pitstop_owner' LOOP
        EXECUTE format('REVOKE CONNECT ON DATABASE %I FROM %I', current_database(), ours);
    END LOOP;
    EXECUTE format('GRANT CONNECT, TEMPORARY ON DATABASE %I TO PUBLIC', current_database());
END
$$;
