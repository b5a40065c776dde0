-- migrate:up
SET LOCAL lock_timeout = '5s';
SET LOCAL statement_timeout = '60s';
SET LOCAL ROLE pitstop_owner;

-- What is agreed beside the price: which part of it a customer gets back, and when a booking may be moved. Times are minutes
-- before the start, percentages what goes back; the first tier whose time has not passed counts.
CREATE FUNCTION is_booking_policy(terms jsonb) RETURNS boolean
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, public, pg_temp AS $$
    SELECT COALESCE(
        jsonb_typeof(terms -> 'refund_tiers') = 'array'
        AND terms ?& ARRAY['refund_tiers', 'reschedule_minutes_before', 'reschedule_limit', 'no_show_percent', 'grace_minutes']
        AND NOT jsonb_path_exists(
            terms, '$.refund_tiers[*] ? (!(@.minutes_before >= 0 && @.percent >= 0 && @.percent <= 100))'
        )
        AND NOT jsonb_path_exists(
            terms,
            '$.keyvalue() ? (@.key != "refund_tiers" && !(@.value >= 0 && @.value <= 525600 && @.value == @.value.floor()))'
        )
        AND NOT jsonb_path_exists(terms, '$.refund_tiers[*].* ? (@ != @.floor() || @ > 525600)')
        AND NOT jsonb_path_exists(terms, '$.no_show_percent ? (@ > 100)'),
        FALSE
    )
$$;

CREATE TABLE booking_policies (
    id uuid PRIMARY KEY DEFAULT uuidv7(),
    name text NOT NULL UNIQUE CHECK (name <> ''),
    terms jsonb NOT NULL CHECK (is_booking_policy(terms)),
    created_at timestamptz NOT NULL DEFAULT now()
);
-- A service without a policy of its own has this one.
INSERT INTO booking_policies (name, terms) VALUES ('standard', '{
    "refund_tiers": [{"minutes_before": 1440, "percent": 100}, {"minutes_before": 120, "percent": 50}],
    "reschedule_minutes_before": 120, "reschedule_limit": 5, "no_show_percent": 0, "grace_minutes": 10
}');
-- squawk-ignore adding-foreign-key-constraint
ALTER TABLE services ADD COLUMN policy_id uuid REFERENCES booking_policies (id);

ALTER TABLE bookings
    -- The policy of the booking's moment: a later change of it does not touch what was agreed.
    ADD COLUMN policy jsonb NOT NULL DEFAULT '{
        "refund_tiers": [{"minutes_before": 1440, "percent": 100}, {"minutes_before": 120, "percent": 50}],
        "reschedule_minutes_before": 120, "reschedule_limit": 5, "no_show_percent": 0, "grace_minutes": 10
    }' CONSTRAINT sound_policy CHECK (is_booking_policy(policy)),
    -- How often its time has changed. Reminders of an earlier time are not those of the present one.
    ADD COLUMN moves integer NOT NULL DEFAULT 0 CHECK (moves >= 0),
    -- How often the customer has moved it: the policy has a limit.
    ADD COLUMN customer_moves integer NOT NULL DEFAULT 0 CHECK (customer_moves >= 0),
    -- A customer who moves a booking does not get back more by that: what the policy gave then is the most it gives after.
    ADD COLUMN refund_percent_at_most integer NOT NULL DEFAULT 100 CHECK (refund_percent_at_most BETWEEN 0 AND 100),
    -- What stays of the money now that the booking has ended; null while it has not, or where nobody has decided on it.
    ADD COLUMN kept_amount bigint CHECK (kept_amount BETWEEN 0 AND amount);

ALTER TABLE sessions
    ADD COLUMN started_at timestamptz,
    ADD COLUMN ended_at timestamptz,
    ADD COLUMN absent text CHECK (absent IN ('customer', 'mechanic')),
    -- squawk-ignore constraint-missing-not-valid
    ADD CONSTRAINT somebody_was_absent CHECK (absent IS NULL OR status = 'no_show');

-- Who has come to the session, and when: what decides who did not.
CREATE TABLE check_ins (
    booking_id uuid NOT NULL REFERENCES bookings (id),
    party text NOT NULL CHECK (party IN ('customer', 'mechanic')),
    at timestamptz NOT NULL,
    PRIMARY KEY (booking_id, party)
);

-- What somebody asks of a booking that has its slot. The API puts it on record, the booking's workflow decides on it, in one
-- transaction with what it changes. `outcome`: null while undecided, `done`, or why not. Who, when, from, to and why of each
-- reschedule are here.
CREATE TABLE booking_changes (
    id uuid PRIMARY KEY,
    booking_id uuid NOT NULL REFERENCES bookings (id) ON DELETE CASCADE,
    kind text NOT NULL CHECK (kind ~ '^[a-z_]{1,40}$'),
    asked_by_role text NOT NULL CHECK (asked_by_role IN ('customer', 'link', 'service', 'mechanic', 'operator')),
    asked_by text NOT NULL,
    wanted jsonb NOT NULL DEFAULT '{}',
    -- In the words of whoever asks.
    reason text CHECK (length(reason) <= 1000),
    asked_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    decided_at timestamptz,
    outcome text,
    -- What was, and what is.
    detail jsonb NOT NULL DEFAULT '{}',
    CHECK ((decided_at IS NULL) = (outcome IS NULL))
);
CREATE INDEX changes_of_booking ON booking_changes (booking_id, asked_at);
CREATE INDEX undecided_changes ON booking_changes (asked_at) WHERE outcome IS NULL;

ALTER TABLE booking_policies ENABLE ROW LEVEL SECURITY;
ALTER TABLE booking_policies FORCE ROW LEVEL SECURITY;
ALTER TABLE check_ins ENABLE ROW LEVEL SECURITY;
ALTER TABLE check_ins FORCE ROW LEVEL SECURITY;
ALTER TABLE booking_changes ENABLE ROW LEVEL SECURITY;
ALTER TABLE booking_changes FORCE ROW LEVEL SECURITY;

CREATE POLICY anybodys ON booking_policies FOR SELECT TO pitstop_api, pitstop_worker USING (TRUE);
CREATE POLICY of_own_bookings ON check_ins FOR SELECT TO pitstop_api
USING (EXISTS (SELECT FROM bookings WHERE bookings.id = check_ins.booking_id));
CREATE POLICY every_booking ON check_ins FOR ALL TO pitstop_worker USING (TRUE) WITH CHECK (TRUE);
CREATE POLICY of_own_bookings ON booking_changes FOR SELECT TO pitstop_api
USING (EXISTS (SELECT FROM bookings WHERE bookings.id = booking_changes.booking_id));
CREATE POLICY ask_in_own_name ON booking_changes FOR INSERT TO pitstop_api WITH CHECK (
    outcome IS NULL AND asked_by_role = (SELECT caller_role()) AND asked_by = (SELECT caller())
    AND EXISTS (SELECT FROM bookings WHERE bookings.id = booking_changes.booking_id)
);
CREATE POLICY take_own_back ON booking_changes FOR DELETE TO pitstop_api USING (
    outcome IS NULL AND asked_by_role = (SELECT caller_role()) AND asked_by = (SELECT caller())
);
CREATE POLICY every_booking ON booking_changes FOR ALL TO pitstop_worker USING (TRUE) WITH CHECK (TRUE);

GRANT SELECT ON booking_policies TO pitstop_api;
GRANT SELECT ON check_ins TO pitstop_api;
GRANT SELECT (id, booking_id, kind, asked_by_role, asked_by, asked_at, decided_at, outcome, detail), DELETE
ON booking_changes TO pitstop_api;
GRANT INSERT (id, booking_id, kind, asked_by_role, asked_by, wanted, reason) ON booking_changes TO pitstop_api;
GRANT SELECT, INSERT ON check_ins TO pitstop_worker;
GRANT SELECT, UPDATE (decided_at, outcome, detail, reason), DELETE ON booking_changes TO pitstop_worker;
GRANT UPDATE (
    starts_at, ends_at, moves, customer_moves, refund_percent_at_most, kept_amount
) ON bookings TO pitstop_worker;
GRANT UPDATE (scheduled_for, mechanic_id, started_at, ended_at, absent) ON sessions TO pitstop_worker;
GRANT UPDATE (mechanic_id, bay_id, starts_at, ends_at, blocked) ON slot_reservations TO pitstop_worker;

-- The bay for a booking that moves: its own if that is free then and the mechanic works in its workshop, else another one.
CREATE FUNCTION bay_for_move(booking uuid, mechanic uuid, wanted tstzrange, at timestamptz) RETURNS uuid
LANGUAGE sql STABLE SET search_path = pg_catalog, public, pg_temp AS $$
    SELECT bays.id
    FROM bays
    JOIN mechanics AS m ON m.workshop_id = bays.workshop_id
    LEFT JOIN slot_reservations AS own
        ON own.booking_id = booking AND own.bay_id = bays.id AND own.status IN ('reserved', 'confirmed')
    WHERE m.id = mechanic AND bays.active AND NOT EXISTS (
        SELECT FROM slot_reservations AS r
        WHERE r.bay_id = bays.id AND r.booking_id <> booking AND r.blocked && wanted
            AND r.status IN ('reserved', 'confirmed') AND (r.status = 'confirmed' OR r.expires_at > at)
    )
    ORDER BY own.id IS NULL, bays.name, bays.id
    LIMIT 1
$$;

-- Mails of the whole life, and messages. A reminder belongs to the time that the booking had after so many moves.
-- squawk-ignore ban-drop-constraint
ALTER TABLE notifications DROP CONSTRAINT notifications_kind_check;
-- squawk-ignore ban-drop-constraint
ALTER TABLE notifications DROP CONSTRAINT notifications_channel_check;
ALTER TABLE notifications
    -- squawk-ignore constraint-missing-not-valid
    ADD CONSTRAINT notifications_kind_check CHECK (kind IN (
        'confirmation', 'reminder', 'cancellation', 'refund', 'rescheduled', 'proposal', 'handed_over', 'at_risk',
        'waiver_request', 'not_taken', 'taken', 'no_show', 'waitlist_offer', 'workshop_request', 'workshop_proposal',
        'workshop_declined'
    )),
    -- squawk-ignore constraint-missing-not-valid
    ADD CONSTRAINT notifications_channel_check CHECK (channel IN ('email', 'sms')),
    ADD COLUMN move integer NOT NULL DEFAULT 0 CHECK (move >= 0);
GRANT INSERT (channel, move) ON notifications TO pitstop_worker;

-- What the audit compares.
CREATE POLICY audited ON booking_changes FOR SELECT TO pitstop_audit USING (TRUE);
CREATE POLICY audited ON check_ins FOR SELECT TO pitstop_audit USING (TRUE);
GRANT SELECT (id, booking_id, kind, asked_at, decided_at, outcome, detail) ON booking_changes TO pitstop_audit;
GRANT SELECT ON check_ins TO pitstop_audit;
GRANT SELECT (policy, moves, customer_moves, refund_percent_at_most, kept_amount) ON bookings TO pitstop_audit;
GRANT SELECT (mechanic_id, scheduled_for_original, started_at, ended_at, absent) ON sessions TO pitstop_audit;
GRANT SELECT (channel, move) ON notifications TO pitstop_audit;

RESET ROLE;

-- migrate:down
SET LOCAL ROLE pitstop_owner;
DELETE FROM notifications WHERE kind NOT IN ('confirmation', 'reminder', 'cancellation', 'refund') OR channel <> 'email';
ALTER TABLE notifications DROP COLUMN move;
-- squawk-ignore ban-drop-constraint
ALTER TABLE notifications DROP CONSTRAINT notifications_kind_check;
-- squawk-ignore ban-drop-constraint
ALTER TABLE notifications DROP CONSTRAINT notifications_channel_check;
ALTER TABLE notifications
    -- squawk-ignore constraint-missing-not-valid
    ADD CONSTRAINT notifications_kind_check CHECK (kind IN ('confirmation', 'reminder', 'cancellation', 'refund')),
    -- squawk-ignore constraint-missing-not-valid
    ADD CONSTRAINT notifications_channel_check CHECK (channel IN ('email'));
DROP TABLE booking_changes, check_ins;
ALTER TABLE sessions DROP COLUMN started_at, DROP COLUMN ended_at, DROP COLUMN absent;
ALTER TABLE bookings
    DROP COLUMN policy, DROP COLUMN moves, DROP COLUMN customer_moves, DROP COLUMN refund_percent_at_most,
    DROP COLUMN kept_amount;
ALTER TABLE services DROP COLUMN policy_id;
DROP TABLE booking_policies;
DROP FUNCTION bay_for_move, is_booking_policy;
REVOKE SELECT (mechanic_id, scheduled_for_original) ON sessions FROM pitstop_audit;
REVOKE SELECT (channel) ON notifications FROM pitstop_audit;
REVOKE UPDATE (starts_at, ends_at) ON bookings FROM pitstop_worker;
REVOKE UPDATE (scheduled_for, mechanic_id) ON sessions FROM pitstop_worker;
REVOKE UPDATE (mechanic_id, bay_id, starts_at, ends_at, blocked) ON slot_reservations FROM pitstop_worker;
REVOKE INSERT (channel) ON notifications FROM pitstop_worker;
RESET ROLE;
