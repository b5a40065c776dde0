-- migrate:up
SET LOCAL lock_timeout = '5s';
SET LOCAL statement_timeout = '60s';

-- The audit reads every booking and changes none. It sees ids, amounts, states and times: no name, address, intake or
-- secret. What it writes is its own two tables.
DO $$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'pitstop_audit') THEN
        CREATE ROLE pitstop_audit NOSUPERUSER NOCREATEDB NOCREATEROLE NOBYPASSRLS;
    END IF;
END
$$;
GRANT USAGE ON SCHEMA public TO pitstop_audit;

SET LOCAL ROLE pitstop_owner;

-- One row for each pass that came to its end. `since` null: all bookings were looked at. `seen_at` is the database's clock
-- when the pass began to read: the next one looks at what has changed from then on.
CREATE TABLE audit_runs (
    id uuid PRIMARY KEY DEFAULT uuidv7(),
    seen_at timestamptz NOT NULL,
    finished_at timestamptz NOT NULL DEFAULT now(),
    since timestamptz,
    seconds double precision NOT NULL CHECK (seconds >= 0),
    checked jsonb NOT NULL,
    clean boolean NOT NULL
);
CREATE INDEX audit_runs_in_order ON audit_runs (seen_at);

CREATE TABLE audit_findings (
    run_id uuid NOT NULL REFERENCES audit_runs (id) ON DELETE CASCADE,
    position integer NOT NULL,
    code text NOT NULL,
    invariant text NOT NULL,
    booking_id uuid,
    subject text NOT NULL,
    found text NOT NULL,
    to_do text NOT NULL,
    repairable boolean NOT NULL,
    PRIMARY KEY (run_id, position)
);

ALTER TABLE audit_runs ENABLE ROW LEVEL SECURITY;
ALTER TABLE audit_runs FORCE ROW LEVEL SECURITY;
ALTER TABLE audit_findings ENABLE ROW LEVEL SECURITY;
ALTER TABLE audit_findings FORCE ROW LEVEL SECURITY;
CREATE POLICY own_books ON audit_runs FOR ALL TO pitstop_audit USING (TRUE) WITH CHECK (TRUE);
CREATE POLICY own_books ON audit_findings FOR ALL TO pitstop_audit USING (TRUE) WITH CHECK (TRUE);
-- Operators read them through the API; `metrics` is the API itself, which counts.
CREATE POLICY operators_read ON audit_runs FOR SELECT TO pitstop_api
USING ((SELECT caller_role()) IN ('operator', 'metrics'));
CREATE POLICY operators_read ON audit_findings FOR SELECT TO pitstop_api
USING ((SELECT caller_role()) IN ('operator', 'metrics'));
GRANT SELECT, INSERT, DELETE ON audit_runs, audit_findings TO pitstop_audit;
GRANT SELECT ON audit_runs, audit_findings TO pitstop_api;

DO $$
DECLARE
    looked_at text;
BEGIN
    FOREACH looked_at IN ARRAY ARRAY[
        'bookings', 'booking_events', 'sessions', 'slot_reservations', 'payments', 'refunds', 'webhook_inbox', 'notifications'
    ] LOOP
        EXECUTE format('CREATE POLICY audited ON %I FOR SELECT TO pitstop_audit USING (TRUE)', looked_at);
    END LOOP;
END
$$;
GRANT SELECT (
    id, status, version, request_fingerprint, customer_id, mechanic_id, starts_at, ends_at, buffer_before_minutes,
    buffer_after_minutes, amount, currency, hold_expires_at, invite_sequence, created_at, updated_at
) ON bookings TO pitstop_audit;
GRANT SELECT (booking_id, status, price_paid, currency, scheduled_for) ON sessions TO pitstop_audit;
GRANT SELECT (payment_intent_id, booking_id, amount, currency, status, paid_at) ON payments TO pitstop_audit;
GRANT SELECT (event_id, type, booking_id, received_at, applied_at) ON webhook_inbox TO pitstop_audit;
GRANT SELECT (key, booking_id, kind, status, due_at, attempts, sent_at, created_at) ON notifications TO pitstop_audit;
GRANT SELECT ON booking_events, slot_reservations, refunds, status_transitions TO pitstop_audit;

-- What the pass finds its bookings by: those that have changed, those that wait for a mechanic, a booking's events.
-- Not CONCURRENTLY: nothing has been released yet that these tables could be large for.
-- squawk-ignore require-concurrent-index-creation
CREATE INDEX bookings_by_change ON bookings (updated_at);
-- squawk-ignore require-concurrent-index-creation
CREATE INDEX bookings_pending ON bookings (id) WHERE status = 'pending';
-- squawk-ignore require-concurrent-index-creation
CREATE INDEX webhooks_of_booking ON webhook_inbox (booking_id) WHERE booking_id IS NOT NULL;

RESET ROLE;

-- migrate:down
-- squawk-ignore require-concurrent-index-deletion
DROP INDEX webhooks_of_booking, bookings_pending, bookings_by_change;
DROP TABLE audit_findings, audit_runs;
-- Its rights and policies in this database; the role itself belongs to the cluster and stays, with what it may in other
-- databases.
DO $$
DECLARE
    policy record;
BEGIN
    FOR policy IN SELECT tablename, policyname FROM pg_policies WHERE roles = '{pitstop_audit}' LOOP
        EXECUTE format('DROP POLICY %I ON %I', policy.policyname, policy.tablename);
    END LOOP;
END
$$;
REVOKE ALL ON ALL TABLES IN SCHEMA public FROM pitstop_audit;
REVOKE ALL ON SCHEMA public FROM pitstop_audit;
