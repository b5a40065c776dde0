-- migrate:up
SET LOCAL lock_timeout = '5s';
SET LOCAL statement_timeout = '60s';
SET LOCAL ROLE pitstop_owner;

-- A move to a dearer plan: the customer pays the difference, and then the booking moves. Until then it stands as it is, and
-- the new time is held for it. The price, the policy and the place are those of the moment in which it was asked for.
CREATE TABLE supplements (
    -- The change that asked for it.
    id uuid PRIMARY KEY,
    booking_id uuid NOT NULL REFERENCES bookings (id),
    -- `lost`: paid, and the booking could not be moved. `closed`: the booking was changed otherwise, or has ended.
    -- `withdrawn`: Stripe could not be asked for a PaymentIntent.
    status text NOT NULL DEFAULT 'open'
    CHECK (status IN ('open', 'applied', 'lapsed', 'replaced', 'closed', 'withdrawn', 'lost')),
    -- The difference: what is to be paid beside what was paid before.
    amount bigint NOT NULL CHECK (amount > 0),
    currency text NOT NULL,
    service_id uuid NOT NULL REFERENCES services (id),
    plan_id uuid NOT NULL REFERENCES plans (id),
    price bigint NOT NULL CHECK (price > amount),
    policy jsonb NOT NULL CONSTRAINT sound_policy CHECK (is_booking_policy(policy)),
    mechanic_id uuid NOT NULL REFERENCES mechanics (id),
    starts_at timestamptz NOT NULL,
    ends_at timestamptz NOT NULL CHECK (ends_at > starts_at),
    asked_by_role text NOT NULL CHECK (asked_by_role IN ('customer', 'link', 'service', 'operator')),
    -- What a cancellation would have given back then: a move by the customer never makes it more.
    percent_at_most integer NOT NULL CHECK (percent_at_most BETWEEN 0 AND 100),
    asked_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL CHECK (expires_at > asked_at),
    -- When the hold lapses by itself, a grace later: what is paid after that goes back.
    lapses_at timestamptz NOT NULL CHECK (lapses_at >= expires_at),
    closed_at timestamptz,
    CHECK ((status = 'open') = (closed_at IS NULL))
);
CREATE UNIQUE INDEX one_open_supplement_of_a_booking ON supplements (booking_id) WHERE status = 'open';
CREATE INDEX supplements_of_booking ON supplements (booking_id, asked_at);
CREATE INDEX supplements_to_lapse ON supplements (expires_at) WHERE status = 'open';
CREATE INDEX supplements_by_closing ON supplements (closed_at) WHERE closed_at IS NOT NULL;

-- A booking is paid by one PaymentIntent, and by one more for each supplement.
ALTER TABLE payments
    -- squawk-ignore adding-foreign-key-constraint
    ADD COLUMN supplement_id uuid REFERENCES supplements (id),
    -- squawk-ignore ban-drop-constraint
    DROP CONSTRAINT payments_booking_id_key;
-- squawk-ignore require-concurrent-index-creation
CREATE UNIQUE INDEX one_payment_of_a_booking ON payments (booking_id) WHERE supplement_id IS NULL;
-- squawk-ignore require-concurrent-index-creation
CREATE UNIQUE INDEX one_payment_of_a_supplement ON payments (supplement_id) WHERE supplement_id IS NOT NULL;
-- squawk-ignore require-concurrent-index-creation
CREATE INDEX payments_of_booking ON payments (booking_id);
-- Those of supplements that nobody has paid and nobody has cancelled yet.
-- squawk-ignore require-concurrent-index-creation
CREATE INDEX supplements_to_void ON payments (booking_id)
WHERE supplement_id IS NOT NULL AND paid_at IS NULL AND status <> 'canceled';

-- The new time is a second row of the same booking, which blocks as a hold does. It may share some of the booking's own time,
-- of the same mechanic or in the same bay: of two bookings no two live rows overlap, as before. How many rows a booking has is
-- kept by the indexes below.
-- squawk-ignore adding-foreign-key-constraint
ALTER TABLE slot_reservations ADD COLUMN supplement_id uuid REFERENCES supplements (id);
ALTER TABLE slot_reservations
    -- squawk-ignore ban-drop-constraint
    DROP CONSTRAINT one_booking_at_a_time,
    -- squawk-ignore ban-drop-constraint
    DROP CONSTRAINT one_booking_in_a_bay,
    -- squawk-ignore constraint-missing-not-valid
    ADD CONSTRAINT one_booking_at_a_time
    EXCLUDE USING gist (mechanic_id WITH =, blocked WITH &&, booking_id WITH <>)
    WHERE (status IN ('reserved', 'confirmed')),
    -- squawk-ignore constraint-missing-not-valid
    ADD CONSTRAINT one_booking_in_a_bay EXCLUDE USING gist (bay_id WITH =, blocked WITH &&, booking_id WITH <>)
    WHERE (status IN ('reserved', 'confirmed') AND bay_id IS NOT NULL);
-- squawk-ignore require-concurrent-index-deletion
DROP INDEX one_live_reservation_of_a_booking;
-- squawk-ignore require-concurrent-index-creation
CREATE UNIQUE INDEX one_live_reservation_of_a_booking ON slot_reservations (booking_id)
WHERE status IN ('reserved', 'confirmed') AND proposal_id IS NULL AND supplement_id IS NULL;
-- squawk-ignore require-concurrent-index-creation
CREATE UNIQUE INDEX one_live_hold_of_a_supplement ON slot_reservations (supplement_id)
WHERE status IN ('reserved', 'confirmed') AND supplement_id IS NOT NULL;

ALTER TABLE supplements ENABLE ROW LEVEL SECURITY;
ALTER TABLE supplements FORCE ROW LEVEL SECURITY;
CREATE POLICY of_own_bookings ON supplements FOR SELECT TO pitstop_api
USING (EXISTS (SELECT FROM bookings WHERE bookings.id = supplements.booking_id));
CREATE POLICY every_booking ON supplements FOR ALL TO pitstop_worker USING (TRUE) WITH CHECK (TRUE);
CREATE POLICY audited ON supplements FOR SELECT TO pitstop_audit USING (TRUE);

-- For whoever pays, as before: of the booking itself, and of what is to be paid beside.
CREATE OR REPLACE FUNCTION client_secret_of(booking uuid) RETURNS text
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
    SELECT client_secret FROM payments WHERE booking_id = booking AND supplement_id IS NULL
$$;
CREATE FUNCTION supplement_secret_of(supplement uuid) RETURNS text
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
    SELECT client_secret FROM payments WHERE supplement_id = supplement AND paid_at IS NULL
$$;
REVOKE EXECUTE ON FUNCTION supplement_secret_of FROM PUBLIC;
GRANT EXECUTE ON FUNCTION supplement_secret_of TO pitstop_api;

GRANT SELECT (
    id, booking_id, status, amount, currency, service_id, plan_id, price, mechanic_id, starts_at, ends_at, asked_at, expires_at
) ON supplements TO pitstop_api;
GRANT SELECT ON supplements TO pitstop_worker;
GRANT INSERT (
    id, booking_id, amount, currency, service_id, plan_id, price, policy, mechanic_id, starts_at, ends_at, asked_by_role,
    percent_at_most, asked_at, expires_at, lapses_at
) ON supplements TO pitstop_worker;
GRANT UPDATE (status, closed_at) ON supplements TO pitstop_worker;
GRANT INSERT (supplement_id) ON slot_reservations TO pitstop_worker;
GRANT INSERT (supplement_id) ON payments TO pitstop_worker;
GRANT SELECT (supplement_id) ON payments TO pitstop_api, pitstop_audit;
GRANT SELECT ON supplements TO pitstop_audit;

RESET ROLE;

-- migrate:down
SET LOCAL ROLE pitstop_owner;

DROP FUNCTION supplement_secret_of;
CREATE OR REPLACE FUNCTION client_secret_of(booking uuid) RETURNS text
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
    SELECT client_secret FROM payments WHERE booking_id = booking
$$;
-- What was held or paid for a supplement has no place here any more: Stripe has it.
ALTER TABLE refunds NO FORCE ROW LEVEL SECURITY;
ALTER TABLE payments NO FORCE ROW LEVEL SECURITY;
ALTER TABLE slot_reservations NO FORCE ROW LEVEL SECURITY;
DELETE FROM refunds WHERE payment_intent_id IN (SELECT payment_intent_id FROM payments WHERE supplement_id IS NOT NULL);
DELETE FROM payments WHERE supplement_id IS NOT NULL;
DELETE FROM slot_reservations WHERE supplement_id IS NOT NULL;
ALTER TABLE slot_reservations FORCE ROW LEVEL SECURITY;
ALTER TABLE payments FORCE ROW LEVEL SECURITY;
ALTER TABLE refunds FORCE ROW LEVEL SECURITY;
-- squawk-ignore require-concurrent-index-deletion
DROP INDEX one_live_hold_of_a_supplement, one_live_reservation_of_a_booking;
ALTER TABLE slot_reservations
    -- squawk-ignore ban-drop-constraint
    DROP CONSTRAINT one_booking_at_a_time,
    -- squawk-ignore ban-drop-constraint
    DROP CONSTRAINT one_booking_in_a_bay,
    -- squawk-ignore constraint-missing-not-valid
    ADD CONSTRAINT one_booking_at_a_time EXCLUDE USING gist (mechanic_id WITH =, blocked WITH &&)
    WHERE (status IN ('reserved', 'confirmed')),
    -- squawk-ignore constraint-missing-not-valid
    ADD CONSTRAINT one_booking_in_a_bay EXCLUDE USING gist (bay_id WITH =, blocked WITH &&)
    WHERE (status IN ('reserved', 'confirmed') AND bay_id IS NOT NULL);
ALTER TABLE slot_reservations DROP COLUMN supplement_id;
-- squawk-ignore require-concurrent-index-creation
CREATE UNIQUE INDEX one_live_reservation_of_a_booking ON slot_reservations (booking_id)
WHERE status IN ('reserved', 'confirmed') AND proposal_id IS NULL;
-- squawk-ignore require-concurrent-index-deletion
DROP INDEX supplements_to_void, payments_of_booking, one_payment_of_a_supplement, one_payment_of_a_booking;
ALTER TABLE payments DROP COLUMN supplement_id;
-- squawk-ignore disallowed-unique-constraint, constraint-missing-not-valid
ALTER TABLE payments ADD CONSTRAINT payments_booking_id_key UNIQUE (booking_id);
DROP TABLE supplements;
RESET ROLE;
