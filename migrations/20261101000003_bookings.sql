-- migrate:up
SET LOCAL lock_timeout = '5s';
SET LOCAL statement_timeout = '60s';
SET LOCAL ROLE pitstop_owner;

-- Which status may follow which. The trigger below refuses every other change, whoever asks: a paid booking that was
-- cancelled can never come back to life. Kept as rows so that documentation can be made from what is enforced.
CREATE TABLE status_transitions (
    subject text NOT NULL CHECK (subject IN ('booking', 'reservation', 'session')),
    from_status text NOT NULL,
    to_status text NOT NULL,
    why text NOT NULL,
    PRIMARY KEY (subject, from_status, to_status)
);

INSERT INTO status_transitions (subject, from_status, to_status, why) VALUES
('booking', 'holding', 'awaiting_payment', 'the slot is held and the PaymentIntent exists'),
('booking', 'awaiting_payment', 'confirmed', 'paid, the slot is the customer''s'),
('booking', 'awaiting_payment', 'pending', 'an immediate session is paid and waits for a mechanic'),
('booking', 'awaiting_payment', 'expired', 'nobody paid while the hold lasted'),
('booking', 'awaiting_payment', 'payment_failed', 'every card tried while the hold lasted was declined'),
('booking', 'awaiting_payment', 'cancelled', 'called off before it was paid'),
('booking', 'awaiting_payment', 'refunded', 'paid too late: the slot had gone, the money went back'),
('booking', 'pending', 'in_progress', 'a mechanic took the immediate session'),
('booking', 'pending', 'cancelled', 'called off before a mechanic took it'),
('booking', 'pending', 'refunded', 'no mechanic took it in time'),
('booking', 'confirmed', 'in_progress', 'the session has started'),
('booking', 'confirmed', 'completed', 'the session''s time is over'),
('booking', 'confirmed', 'cancelled', 'called off'),
('booking', 'confirmed', 'no_show', 'somebody did not come'),
('booking', 'in_progress', 'completed', 'the session has ended'),
('booking', 'in_progress', 'no_show', 'somebody did not come'),
('reservation', 'reserved', 'confirmed', 'paid'),
('reservation', 'reserved', 'expired', 'the hold ran out'),
('reservation', 'reserved', 'cancelled', 'released'),
('reservation', 'confirmed', 'cancelled', 'released'),
('session', 'scheduled', 'in_progress', 'started'),
('session', 'scheduled', 'completed', 'its time is over'),
('session', 'scheduled', 'cancelled', 'called off'),
('session', 'scheduled', 'no_show', 'somebody did not come'),
('session', 'pending', 'in_progress', 'a mechanic took it'),
('session', 'pending', 'cancelled', 'called off or not taken'),
('session', 'in_progress', 'completed', 'ended'),
('session', 'in_progress', 'no_show', 'somebody did not come');

-- Named by the trigger's argument: 'booking', 'reservation' or 'session'.
CREATE FUNCTION keep_status_honest() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
    NEW.updated_at := clock_timestamp();
    IF NEW.status IS DISTINCT FROM OLD.status AND NOT EXISTS (
        SELECT FROM status_transitions
        WHERE subject = TG_ARGV[0] AND from_status = OLD.status AND to_status = NEW.status
    ) THEN
        RAISE EXCEPTION 'a % cannot go from % to %', TG_ARGV[0], OLD.status, NEW.status
            USING ERRCODE = 'check_violation', CONSTRAINT = 'legal_status_transition';
    END IF;
    RETURN NEW;
END
$$;

-- One row for each booking; its id is made from caller and Idempotency-Key, so that a repeated request finds it.
-- Price, duration and buffers are those of the booking's moment (a later change of the catalogue does not touch them).
CREATE TABLE bookings (
    id uuid PRIMARY KEY,
    status text NOT NULL DEFAULT 'holding' CHECK (status IN (
        'holding', 'awaiting_payment', 'pending', 'confirmed', 'in_progress', 'completed',
        'expired', 'payment_failed', 'cancelled', 'refunded', 'no_show'
    )),
    version integer NOT NULL DEFAULT 1,
    -- SHA-256 of the request's body in canonical form: the same key with another body is refused.
    request_fingerprint bytea NOT NULL,
    created_by text NOT NULL,
    customer_id uuid NOT NULL,
    customer_name text NOT NULL,
    customer_email text NOT NULL,
    customer_phone text,
    country text NOT NULL,
    city text NOT NULL,
    postal_code text NOT NULL,
    -- Large or personal data stays here: the workflow's history bears ids only.
    intake jsonb NOT NULL DEFAULT '{}',
    timezone text NOT NULL,
    service_id uuid NOT NULL REFERENCES services (id),
    plan_id uuid NOT NULL REFERENCES plans (id),
    mechanic_id uuid NOT NULL REFERENCES mechanics (id),
    -- The mechanic that the customer asked for by name; null when any would do.
    preferred_mechanic_id uuid REFERENCES mechanics (id),
    starts_at timestamptz NOT NULL,
    ends_at timestamptz NOT NULL CHECK (ends_at > starts_at),
    buffer_before_minutes integer NOT NULL,
    buffer_after_minutes integer NOT NULL,
    amount bigint NOT NULL CHECK (amount > 0),
    currency text NOT NULL,
    -- When the customer's time to pay is over; null until the slot is held.
    hold_expires_at timestamptz,
    invite_sequence integer NOT NULL DEFAULT 0,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX bookings_by_customer ON bookings (customer_id, created_at);
CREATE INDEX bookings_by_mechanic ON bookings (mechanic_id, starts_at);
CREATE INDEX bookings_by_creator ON bookings (created_by, created_at);
CREATE INDEX bookings_in_order ON bookings (created_at, id);
-- The sweep looks for bookings that are under way and no longer driven by a workflow; ended ones never matter to it.
CREATE INDEX bookings_to_pay ON bookings (hold_expires_at) WHERE status IN ('holding', 'awaiting_payment');
CREATE INDEX bookings_to_complete ON bookings (ends_at) WHERE status IN ('confirmed', 'in_progress');

CREATE FUNCTION count_version() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
    NEW.version := OLD.version + 1;
    RETURN NEW;
END
$$;
CREATE TRIGGER honest_status BEFORE UPDATE ON bookings
FOR EACH ROW EXECUTE FUNCTION keep_status_honest('booking');
CREATE TRIGGER version_rises BEFORE UPDATE ON bookings
FOR EACH ROW EXECUTE FUNCTION count_version();

-- What happened to a booking, in order; the customer's timeline and the operator's. Written in the transaction of the event.
CREATE TABLE booking_events (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    booking_id uuid NOT NULL REFERENCES bookings (id) ON DELETE CASCADE,
    at timestamptz NOT NULL,
    event text NOT NULL,
    detail jsonb NOT NULL DEFAULT '{}'
);
CREATE INDEX booking_events_of_booking ON booking_events (booking_id, id);

RESET ROLE;

-- migrate:down
DROP TABLE booking_events, bookings, status_transitions;
DROP FUNCTION keep_status_honest, count_version;
