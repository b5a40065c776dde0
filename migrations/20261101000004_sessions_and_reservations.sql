-- migrate:up
SET LOCAL lock_timeout = '5s';
SET LOCAL statement_timeout = '60s';
SET LOCAL ROLE pitstop_owner;

-- What was bought. A session with a time starts as `scheduled`; an immediate one has no time and starts as `pending`.
CREATE TABLE sessions (
    id uuid PRIMARY KEY DEFAULT uuidv7(),
    booking_id uuid NOT NULL UNIQUE REFERENCES bookings (id),
    kind text NOT NULL CHECK (kind IN ('video', 'chat', 'diagnostic', 'in_person')),
    status text NOT NULL CHECK (status IN ('scheduled', 'pending', 'in_progress', 'completed', 'cancelled', 'no_show')),
    plan_id uuid NOT NULL REFERENCES plans (id),
    intake jsonb NOT NULL,
    price_paid bigint NOT NULL CHECK (price_paid > 0),
    currency text NOT NULL,
    slot_reservation_id uuid,
    customer_id uuid NOT NULL,
    mechanic_id uuid REFERENCES mechanics (id),
    preferred_mechanic_id uuid REFERENCES mechanics (id),
    country text NOT NULL,
    city text NOT NULL,
    postal_code text NOT NULL,
    scheduled_for timestamptz,
    -- What was first booked stays on record, however often the session moves.
    scheduled_for_original timestamptz,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    CHECK ((scheduled_for IS NULL) = (scheduled_for_original IS NULL)),
    CHECK (status <> 'scheduled' OR scheduled_for IS NOT NULL),
    CHECK (status <> 'pending' OR scheduled_for IS NULL)
);
CREATE TRIGGER honest_status BEFORE UPDATE ON sessions
FOR EACH ROW EXECUTE FUNCTION keep_status_honest('session');

-- A mechanic's time that is spoken for. `blocked` is the session with its buffers, half-open: touching is no overlap.
CREATE TABLE slot_reservations (
    id uuid PRIMARY KEY,
    booking_id uuid NOT NULL REFERENCES bookings (id),
    session_id uuid REFERENCES sessions (id),
    mechanic_id uuid NOT NULL REFERENCES mechanics (id),
    starts_at timestamptz NOT NULL,
    ends_at timestamptz NOT NULL,
    blocked tstzrange NOT NULL,
    status text NOT NULL CHECK (status IN ('reserved', 'confirmed', 'expired', 'cancelled')),
    -- When a hold lapses by itself, whatever is down: the end of the customer's time to pay plus a grace, in which the
    -- workflow settles a payment of the last second. A lapsed hold blocks nothing, even while its row says `reserved`.
    expires_at timestamptz NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    CHECK (ends_at > starts_at),
    CHECK (blocked @> tstzrange(starts_at, ends_at)),
    -- The one guard against double booking: two live rows of a mechanic never overlap. Everything else only spares work.
    CONSTRAINT one_booking_at_a_time EXCLUDE USING gist (mechanic_id WITH =, blocked WITH &&)
    WHERE (status IN ('reserved', 'confirmed'))
);
ALTER TABLE sessions ADD FOREIGN KEY (slot_reservation_id) REFERENCES slot_reservations (id);
-- A booking holds one slot at a time.
CREATE UNIQUE INDEX one_live_reservation_of_a_booking ON slot_reservations (booking_id)
WHERE status IN ('reserved', 'confirmed');
CREATE INDEX slot_reservations_of_booking ON slot_reservations (booking_id);
CREATE INDEX holds_by_expiry ON slot_reservations (expires_at) WHERE status = 'reserved';
CREATE TRIGGER honest_status BEFORE UPDATE ON slot_reservations
FOR EACH ROW EXECUTE FUNCTION keep_status_honest('reservation');

RESET ROLE;

-- migrate:down
ALTER TABLE sessions DROP COLUMN slot_reservation_id;
DROP TABLE slot_reservations, sessions;
