-- migrate:up
SET LOCAL lock_timeout = '5s';
SET LOCAL statement_timeout = '60s';
SET LOCAL ROLE pitstop_owner;

-- Who did what, written in the transaction of what was done. Nothing in it is personal data of a customer: people are ids,
-- addresses are keyed digests. So it need not be changed when somebody is erased, and it cannot be.
CREATE TABLE audit_log (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at timestamptz NOT NULL DEFAULT clock_timestamp(),
    -- The roles of a token, `link`, and `nobody` for a request without a valid token.
    actor_role text NOT NULL,
    actor text NOT NULL CHECK (length(actor) <= 255),
    action text NOT NULL,
    object_kind text NOT NULL,
    object_id text,
    outcome text NOT NULL CHECK (outcome IN ('done', 'refused')),
    address text,
    request_id text,
    detail jsonb NOT NULL DEFAULT '{}',
    -- By which the seals below know what can no longer be preceded by a row that is still being written.
    written_by xid8 NOT NULL DEFAULT pg_current_xact_id()
);
CREATE INDEX audit_log_to_seal ON audit_log (written_by, id);
CREATE INDEX audit_log_of_object ON audit_log (object_id, id);
CREATE INDEX audit_log_of_actor ON audit_log (actor, id);

-- A chain over the log: each seal is a digest of the seal before it and of the rows since then. It is made in batches, by
-- the worker, so that nobody who writes waits for anybody else who does.
CREATE TABLE audit_seals (
    id bigint PRIMARY KEY,
    -- Covers the rows of transactions from the last seal's `upto` on and before this.
    upto xid8 NOT NULL,
    entries bigint NOT NULL CHECK (entries > 0),
    digest bytea NOT NULL,
    sealed_at timestamptz NOT NULL DEFAULT clock_timestamp()
);

-- Statement triggers: they bind the owner and a superuser too, who would have to disable them first.
CREATE FUNCTION refuse_change() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% is append-only', TG_TABLE_NAME USING ERRCODE = 'insufficient_privilege';
END
$$;
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_log
FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_seals
FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

-- The digest of the rows of these transactions (half-open), chained to the one before.
CREATE FUNCTION audit_digest(before bytea, since xid8, upto xid8, OUT entries bigint, OUT digest bytea)
LANGUAGE plpgsql STABLE SET timezone = 'UTC' AS $$
DECLARE
    line text;
BEGIN
    entries := 0;
    digest := before;
    FOR line IN
        SELECT jsonb_build_array(
            l.id, l.at, l.actor_role, l.actor, l.action, l.object_kind, l.object_id, l.outcome, l.address, l.request_id,
            l.detail, l.written_by
        )::text
        FROM audit_log AS l
        WHERE l.written_by >= since AND l.written_by < audit_digest.upto
        ORDER BY l.written_by, l.id
    LOOP
        entries := entries + 1;
        digest := sha256(digest || convert_to(line, 'UTF8'));
    END LOOP;
END
$$;

-- Seals what is finished and not yet sealed: some `most` rows, and brings back the seal, or none when there is nothing new.
-- Two at once: the key of the seals lets one win.
CREATE FUNCTION seal_audit_log(most integer) RETURNS SETOF audit_seals
LANGUAGE plpgsql AS $$
DECLARE
    last record;
    bound xid8;
BEGIN
    SELECT COALESCE(max(s.id), 0) AS id INTO last FROM audit_seals AS s;
    SELECT last.id AS id, COALESCE(s.upto, '0'::xid8) AS upto, COALESCE(s.digest, ''::bytea) AS digest INTO last
    FROM (SELECT) AS always LEFT JOIN audit_seals AS s ON s.id = last.id;
    SELECT l.written_by INTO bound FROM audit_log AS l
    WHERE l.written_by > last.upto AND l.written_by < pg_snapshot_xmin(pg_current_snapshot())
    ORDER BY l.written_by OFFSET most LIMIT 1;
    bound := COALESCE(bound, pg_snapshot_xmin(pg_current_snapshot()));
    RETURN QUERY
    INSERT INTO audit_seals (id, upto, entries, digest)
    SELECT last.id + 1, bound, d.entries, d.digest FROM audit_digest(last.digest, last.upto, bound) AS d WHERE d.entries > 0
    RETURNING *;
END
$$;

-- The seals that no longer fit the rows: none, unless somebody changed, removed or slipped in a row. Looks for gaps in the
-- chain, and computes again the newest seal and others at random, `most` in all; null: every one.
CREATE FUNCTION broken_audit_seals(most integer) RETURNS SETOF audit_seals
LANGUAGE sql VOLATILE AS $$
    WITH chain AS (
        SELECT
            id, upto, entries, digest,
            lag(upto, 1, '0'::xid8) OVER (ORDER BY id) AS since,
            lag(digest, 1, ''::bytea) OVER (ORDER BY id) AS before,
            lag(id, 1, 0::bigint) OVER (ORDER BY id) AS follows,
            row_number() OVER (ORDER BY id DESC) AS age
        FROM audit_seals
    ),
    looked_at AS (
        SELECT * FROM chain ORDER BY age = 1 DESC, random() LIMIT most
    ),
    broken AS (
        SELECT id FROM chain WHERE follows <> id - 1
        UNION
        SELECT l.id
        FROM looked_at AS l
        CROSS JOIN LATERAL audit_digest(l.before, l.since, l.upto) AS d
        WHERE d.digest <> l.digest OR d.entries <> l.entries
    )
    SELECT s.* FROM audit_seals AS s JOIN broken ON broken.id = s.id
$$;

-- When a booking's personal data was removed. Its money, times and ids stay.
ALTER TABLE bookings ADD COLUMN erased_at timestamptz;
-- When Stripe was told to forget the address that we had given it with this payment.
ALTER TABLE payments ADD COLUMN erased_at timestamptz;

-- Who asked for a customer's personal data to be removed, and how far that has got.
CREATE TABLE erasures (
    customer_id uuid PRIMARY KEY,
    requested_at timestamptz NOT NULL,
    requested_by_role text NOT NULL,
    requested_by text NOT NULL,
    bookings integer NOT NULL,
    -- Payments of which Stripe has refused to forget the address: somebody has to do that in its dashboard.
    left_at_stripe integer NOT NULL DEFAULT 0,
    -- Null while Stripe has not been told of all payments.
    completed_at timestamptz
);

DO $$
DECLARE
    guarded text;
BEGIN
    FOREACH guarded IN ARRAY ARRAY['audit_log', 'audit_seals', 'erasures'] LOOP
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', guarded);
        EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', guarded);
    END LOOP;
END
$$;

-- The API writes in the name of whom it acts for, and nobody else's.
CREATE POLICY own_deeds ON audit_log FOR INSERT TO pitstop_api
WITH CHECK (actor_role = (SELECT caller_role()) AND actor = (SELECT caller()));
CREATE POLICY operators_read ON audit_log FOR SELECT TO pitstop_api USING ((SELECT caller_role()) = 'operator');
CREATE POLICY operators_read ON audit_seals FOR SELECT TO pitstop_api USING ((SELECT caller_role()) = 'operator');
CREATE POLICY deeds_of_workflows ON audit_log FOR INSERT TO pitstop_worker WITH CHECK (TRUE);
CREATE POLICY sealing ON audit_log FOR SELECT TO pitstop_worker USING (TRUE);
CREATE POLICY sealing ON audit_seals FOR ALL TO pitstop_worker USING (TRUE) WITH CHECK (TRUE);
CREATE POLICY own_erasure ON erasures FOR SELECT TO pitstop_api USING (
    (SELECT caller_role()) = 'operator'
    OR ((SELECT caller_role()) = 'customer' AND customer_id::text = (SELECT caller()))
);
CREATE POLICY every_erasure ON erasures FOR ALL TO pitstop_worker USING (TRUE) WITH CHECK (TRUE);
-- A link was given to a person who is no longer on record.
CREATE POLICY no_link_to_what_was_erased ON bookings AS RESTRICTIVE FOR SELECT TO pitstop_api
USING (erased_at IS NULL OR (SELECT caller_role()) <> 'link');

-- Number, time and transaction of an entry are the database's to say.
GRANT INSERT (actor_role, actor, action, object_kind, object_id, outcome, address, request_id, detail)
ON audit_log TO pitstop_api, pitstop_worker;
GRANT SELECT ON audit_log, audit_seals TO pitstop_api, pitstop_worker;
GRANT INSERT ON audit_seals TO pitstop_worker;
GRANT SELECT ON erasures TO pitstop_api;
GRANT SELECT, INSERT, UPDATE ON erasures TO pitstop_worker;

RESET ROLE;

-- migrate:down
DROP POLICY no_link_to_what_was_erased ON bookings;
DROP TABLE erasures;
ALTER TABLE payments DROP COLUMN erased_at;
ALTER TABLE bookings DROP COLUMN erased_at;
DROP FUNCTION broken_audit_seals, seal_audit_log, audit_digest;
DROP TABLE audit_seals, audit_log;
DROP FUNCTION refuse_change;
