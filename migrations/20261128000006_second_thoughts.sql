-- migrate:up
SET LOCAL lock_timeout = '5s';
SET LOCAL statement_timeout = '60s';
SET LOCAL ROLE pitstop_owner;

-- A booking that stands though its mechanic will not be there, by the mechanic's own rules. The mechanic's change of rules
-- raises and lowers the flag in its transaction; the booking's run takes notice of it (`is_news`), and tells the customer.
CREATE TABLE booking_flags (
    id uuid PRIMARY KEY DEFAULT uuidv7(),
    -- No foreign key: it would wait for the booking's row, which a move has locked while it waits for its mechanics. Whoever
    -- changes rules has locked the mechanic, and the two would wait for each other. A flag that comes too late for its booking
    -- is lowered by the sweep.
    booking_id uuid NOT NULL,
    kind text NOT NULL CHECK (kind IN ('mechanic_away')),
    mechanic_id uuid NOT NULL REFERENCES mechanics (id),
    reason text NOT NULL CHECK (reason IN ('time_off', 'outside_hours', 'offline')),
    since timestamptz NOT NULL,
    raised_by text NOT NULL CHECK (raised_by IN ('mechanic', 'sweep')),
    is_news boolean NOT NULL DEFAULT TRUE,
    -- From when on the customer has been told of it; null while the run does not know.
    noted_at timestamptz,
    resolved_at timestamptz,
    resolution text CHECK (resolution IN ('handed_over', 'rescheduled', 'cancelled', 'ended', 'taken_back')),
    CHECK ((resolved_at IS NULL) = (resolution IS NULL))
);
CREATE UNIQUE INDEX one_open_flag_of_a_kind ON booking_flags (booking_id, kind) WHERE resolved_at IS NULL;
CREATE INDEX flags_of_booking ON booking_flags (booking_id, since);
CREATE INDEX open_flags_of_mechanic ON booking_flags (mechanic_id) WHERE resolved_at IS NULL;
CREATE INDEX flags_not_noted ON booking_flags (since) WHERE is_news;

-- Other times, or other mechanics, that a mechanic or an operator offers for a booking; the customer decides. None of them is
-- held meanwhile. `id` is that of the change that made it.
CREATE TABLE proposals (
    id uuid PRIMARY KEY,
    booking_id uuid NOT NULL REFERENCES bookings (id) ON DELETE CASCADE,
    -- [{start, mechanic_id}]
    options jsonb NOT NULL CHECK (jsonb_typeof(options) = 'array' AND jsonb_array_length(options) BETWEEN 1 AND 5),
    proposed_by text NOT NULL CHECK (proposed_by IN ('mechanic', 'operator')),
    proposed_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL,
    status text NOT NULL DEFAULT 'open' CHECK (status IN ('open', 'accepted', 'declined', 'lapsed', 'replaced', 'closed')),
    closed_at timestamptz,
    CHECK (expires_at > proposed_at),
    CHECK ((status = 'open') = (closed_at IS NULL))
);
CREATE UNIQUE INDEX one_open_proposal_of_a_booking ON proposals (booking_id) WHERE status = 'open';
CREATE INDEX proposals_of_booking ON proposals (booking_id, proposed_at);
CREATE INDEX proposals_to_lapse ON proposals (expires_at) WHERE status = 'open';

ALTER TABLE booking_flags ENABLE ROW LEVEL SECURITY;
ALTER TABLE booking_flags FORCE ROW LEVEL SECURITY;
ALTER TABLE proposals ENABLE ROW LEVEL SECURITY;
ALTER TABLE proposals FORCE ROW LEVEL SECURITY;

CREATE POLICY of_own_bookings ON booking_flags FOR SELECT TO pitstop_api
USING (EXISTS (SELECT FROM bookings WHERE bookings.id = booking_flags.booking_id));
-- Their own mechanic raises and lowers them, by its rules.
CREATE POLICY flag_own_bookings ON booking_flags FOR INSERT TO pitstop_api WITH CHECK (
    (SELECT caller_role()) = 'mechanic' AND mechanic_id::text = (SELECT caller()) AND raised_by = 'mechanic'
    AND noted_at IS NULL AND EXISTS (SELECT FROM bookings WHERE bookings.id = booking_flags.booking_id)
);
CREATE POLICY lower_own_flags ON booking_flags FOR UPDATE TO pitstop_api USING (
    (SELECT caller_role()) = 'mechanic' AND mechanic_id::text = (SELECT caller())
) WITH CHECK (
    (SELECT caller_role()) = 'mechanic' AND mechanic_id::text = (SELECT caller())
);
CREATE POLICY every_booking ON booking_flags FOR ALL TO pitstop_worker USING (TRUE) WITH CHECK (TRUE);
CREATE POLICY audited ON booking_flags FOR SELECT TO pitstop_audit USING (TRUE);
CREATE POLICY of_own_bookings ON proposals FOR SELECT TO pitstop_api
USING (EXISTS (SELECT FROM bookings WHERE bookings.id = proposals.booking_id));
CREATE POLICY every_booking ON proposals FOR ALL TO pitstop_worker USING (TRUE) WITH CHECK (TRUE);
CREATE POLICY audited ON proposals FOR SELECT TO pitstop_audit USING (TRUE);

GRANT SELECT ON booking_flags TO pitstop_api, pitstop_worker, pitstop_audit;
GRANT INSERT (booking_id, kind, mechanic_id, reason, since, raised_by) ON booking_flags TO pitstop_api, pitstop_worker;
GRANT UPDATE (resolved_at, resolution, is_news) ON booking_flags TO pitstop_api;
GRANT UPDATE (resolved_at, resolution, is_news, noted_at) ON booking_flags TO pitstop_worker;
GRANT SELECT ON proposals TO pitstop_api, pitstop_worker, pitstop_audit;
GRANT INSERT (id, booking_id, options, proposed_by, proposed_at, expires_at) ON proposals TO pitstop_worker;
GRANT UPDATE (status, closed_at) ON proposals TO pitstop_worker;
-- As `keep_still`, for a change that concerns several mechanics: first all of them, then their workshops, each in one order. Two
-- that swap, or hand over to each other, never wait for each other, nor for a hold, which takes its mechanic before its workshop.
CREATE FUNCTION keep_all_still(concerned uuid[], service uuid) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    PERFORM FROM mechanics WHERE id = ANY(concerned) ORDER BY id FOR NO KEY UPDATE;
    PERFORM FROM workshops WHERE id IN (
        SELECT m.workshop_id FROM mechanics AS m, services AS s
        WHERE m.id = ANY(concerned) AND s.id = service AND s.kind = 'in_person'
    ) ORDER BY id FOR NO KEY UPDATE;
END
$$;
REVOKE EXECUTE ON FUNCTION keep_all_still FROM PUBLIC;
GRANT EXECUTE ON FUNCTION keep_all_still TO pitstop_worker;

-- Another service or plan, with the terms of that moment.
GRANT UPDATE (service_id, plan_id, amount, policy) ON bookings TO pitstop_worker;
GRANT UPDATE (kind, plan_id, price_paid) ON sessions TO pitstop_worker;
GRANT SELECT ON booking_policies TO pitstop_worker;

RESET ROLE;

-- migrate:down
SET LOCAL ROLE pitstop_owner;
REVOKE SELECT ON booking_policies FROM pitstop_worker;
REVOKE UPDATE (kind, plan_id, price_paid) ON sessions FROM pitstop_worker;
REVOKE UPDATE (service_id, plan_id, amount, policy) ON bookings FROM pitstop_worker;
DROP FUNCTION keep_all_still;
DROP TABLE proposals, booking_flags;
RESET ROLE;
