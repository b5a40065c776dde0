-- migrate:up
SET LOCAL lock_timeout = '5s';
SET LOCAL statement_timeout = '60s';
SET LOCAL ROLE pitstop_owner;

-- How much of its budget each caller and address has used: a bucket for each, shared by all API processes. A key is a
-- keyed hash of who it is about. Unlogged: a crash fills the buckets again, and nobody waits for the disk.
CREATE UNLOGGED TABLE rate_limits (
    key bytea PRIMARY KEY,
    -- When the bucket is full again if nothing more is drawn; a row whose moment has passed says nothing.
    full_at timestamptz NOT NULL
) WITH (fillfactor = 50); -- No further index: so an update stays on its page, and leaves nothing for vacuum.

-- Draws up to `wanted` tokens for each key from a bucket that holds a minute's worth and fills evenly (GCRA: the row is
-- the theoretical arrival time). `wait` is in seconds, for a key that gets none. Keys come in order, so that two callers
-- never wait for each other.
CREATE FUNCTION draw_tokens(keys bytea[], per_minute integer[], wanted integer[])
RETURNS TABLE (granted integer, wait double precision)
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    at timestamptz;
    pause double precision;
    before timestamptz;
    after timestamptz;
BEGIN
    FOR i IN 1..cardinality(keys) LOOP
        pause := 60.0 / per_minute[i];
        at := clock_timestamp();
        INSERT INTO rate_limits AS r (key, full_at)
        VALUES (keys[i], at + make_interval(secs => pause * LEAST(wanted[i], per_minute[i])))
        ON CONFLICT (key) DO UPDATE SET
            full_at = GREATEST(r.full_at, at) + make_interval(secs => pause * LEAST(wanted[i], tokens_left(r.full_at, at, pause)))
        WHERE tokens_left(r.full_at, at, pause) >= 1
        RETURNING old.full_at, new.full_at INTO before, after;
        IF FOUND THEN
            granted := round(EXTRACT(EPOCH FROM after - GREATEST(before, at)) / pause);
            wait := 0;
        ELSE
            granted := 0;
            SELECT EXTRACT(EPOCH FROM r.full_at - at) + pause - 60 INTO wait FROM rate_limits AS r WHERE r.key = keys[i];
        END IF;
        RETURN NEXT;
    END LOOP;
END
$$;

-- Of a bucket that is full again at `full_at`, one token being `pause` seconds. A thousandth makes up for rounding.
CREATE FUNCTION tokens_left(full_at timestamptz, at timestamptz, pause double precision) RETURNS integer
LANGUAGE sql IMMUTABLE AS $$
    SELECT floor((60 - EXTRACT(EPOCH FROM GREATEST(full_at, at) - at)) / pause + 0.001)::integer
$$;

-- Who has taken which holds, for as long as it matters: a customer, an address, a service, and each card that was
-- declined for the hold. `origin` is a keyed hash; of an address nothing else is kept here.
CREATE TABLE hold_origins (
    -- Deferred: the origins are claimed before the booking is written, in the same transaction.
    booking_id uuid NOT NULL REFERENCES bookings (id) ON DELETE CASCADE DEFERRABLE INITIALLY DEFERRED,
    kind text NOT NULL CHECK (kind IN ('customer', 'address', 'service', 'card')),
    origin bytea NOT NULL,
    opened_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    -- The hold is over by then, whatever is down.
    lapses_at timestamptz NOT NULL,
    -- When the time to pay ended, and whether nobody had paid; null while it lasts.
    ended_at timestamptz,
    unpaid boolean,
    PRIMARY KEY (booking_id, kind, origin),
    CHECK ((ended_at IS NULL) = (unpaid IS NULL))
);
CREATE INDEX holds_of_origin ON hold_origins (origin, opened_at);
CREATE INDEX live_holds_of_origin ON hold_origins (origin, lapses_at) WHERE ended_at IS NULL;
CREATE INDEX hold_origins_by_lapse ON hold_origins (lapses_at);

ALTER TABLE rate_limits ENABLE ROW LEVEL SECURITY;
ALTER TABLE rate_limits FORCE ROW LEVEL SECURITY;
ALTER TABLE hold_origins ENABLE ROW LEVEL SECURITY;
ALTER TABLE hold_origins FORCE ROW LEVEL SECURITY;
-- The API reaches both through these functions only, which run as their owner.
CREATE POLICY for_its_functions ON rate_limits FOR ALL TO pitstop_owner USING (TRUE) WITH CHECK (TRUE);
CREATE POLICY for_its_functions ON hold_origins FOR ALL TO pitstop_owner USING (TRUE) WITH CHECK (TRUE);
-- The worker asks about cards, and clears away what no longer matters.
CREATE POLICY clear_away ON rate_limits FOR ALL TO pitstop_worker USING (TRUE);
CREATE POLICY every_hold ON hold_origins FOR ALL TO pitstop_worker USING (TRUE);
GRANT SELECT, DELETE ON rate_limits, hold_origins TO pitstop_worker;
-- To lock rows before it clears them away.
GRANT UPDATE (full_at) ON rate_limits TO pitstop_worker;

-- How often a hold that ended unpaid has to be waited for: nothing up to `free` of them, then `first`, doubled with each
-- further one, `longest` at most.
CREATE FUNCTION growing_delay(unpaid bigint, free integer, first interval, longest interval) RETURNS interval
LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE WHEN unpaid < free THEN interval '0' ELSE LEAST(first * 2 ^ LEAST(unpaid - free, 20), longest) END
$$;

-- Claims a hold for its origins; brings back nothing if it is granted, otherwise the kind of the limit and the seconds to
-- wait. The locks last until the transaction ends, so that holds of one origin are counted one after another. Origins come
-- in order, so that two claims never wait for each other. A booking that has its claim keeps it: a request that is
-- repeated is never refused. `most`: live holds of each origin; `free`: unpaid ones within `span` before the delay begins,
-- null for no delay; `cards`: bookings within `span` for which one card of this customer's may have been declined.
CREATE FUNCTION claim_hold(
    booking uuid, kinds text[], origins bytea[], most integer[], free integer[], cards integer,
    lasts interval, span interval, first_delay interval, longest_delay interval
) RETURNS TABLE (kind text, wait double precision)
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
#variable_conflict use_column
DECLARE
    at timestamptz;
    live bigint;
    unpaid_ones bigint;
    until timestamptz;
BEGIN
    FOR i IN 1..cardinality(origins) LOOP
        PERFORM pg_advisory_xact_lock(hashtextextended(encode(origins[i], 'hex'), 0));
    END LOOP;
    IF EXISTS (SELECT FROM hold_origins AS o WHERE o.booking_id = booking) THEN
        RETURN;
    END IF;
    at := clock_timestamp();
    FOR i IN 1..cardinality(origins) LOOP
        SELECT count(*), min(o.lapses_at) INTO live, until
        FROM hold_origins AS o WHERE o.origin = origins[i] AND o.ended_at IS NULL AND o.lapses_at > at;
        IF live >= most[i] THEN
            RETURN QUERY SELECT kinds[i], EXTRACT(EPOCH FROM until - at)::double precision;
            RETURN;
        END IF;
        CONTINUE WHEN free[i] IS NULL;
        SELECT count(*), max(o.ended_at) INTO unpaid_ones, until
        FROM hold_origins AS o
        WHERE o.origin = origins[i] AND o.unpaid AND o.ended_at > at - span AND o.opened_at > at - span - lasts;
        until := until + growing_delay(unpaid_ones, free[i], first_delay, longest_delay);
        IF until > at THEN
            RETURN QUERY SELECT kinds[i], EXTRACT(EPOCH FROM until - at)::double precision;
            RETURN;
        END IF;
        IF kinds[i] = 'customer' THEN
            SELECT used.bookings, used.last INTO unpaid_ones, until FROM declined_cards(origins[i], at - span) AS used;
            until := until + growing_delay(unpaid_ones, cards, first_delay, longest_delay);
            IF until > at THEN
                RETURN QUERY SELECT 'card'::text, EXTRACT(EPOCH FROM until - at)::double precision;
                RETURN;
            END IF;
        END IF;
    END LOOP;
    INSERT INTO hold_origins (booking_id, kind, origin, lapses_at)
    SELECT booking, claimed.kind, claimed.origin, at + lasts FROM unnest(kinds, origins) AS claimed (kind, origin);
END
$$;

-- Of the cards that were declined since then for what this customer has not paid, the one that was declined for most
-- unpaid bookings, whoever made them: for how many, and when last.
CREATE FUNCTION declined_cards(customer bytea, since timestamptz) RETURNS TABLE (bookings bigint, last timestamptz)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
    SELECT count(*) AS bookings, max(declined.opened_at) AS last
    FROM hold_origins AS declined
    WHERE declined.kind = 'card' AND declined.opened_at > since AND declined.unpaid IS DISTINCT FROM FALSE
        AND declined.origin IN (
            SELECT card.origin
            FROM hold_origins AS mine
            JOIN hold_origins AS card ON card.booking_id = mine.booking_id AND card.kind = 'card'
            WHERE mine.origin = customer AND mine.opened_at > since AND mine.unpaid IS DISTINCT FROM FALSE
        )
    GROUP BY declined.origin
    ORDER BY bookings DESC, last DESC
    LIMIT 1
$$;

-- Notes that a card was declined for a booking, once.
CREATE FUNCTION note_declined_card(booking uuid, card bytea) RETURNS void
LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
    INSERT INTO hold_origins (booking_id, kind, origin, lapses_at, ended_at, unpaid)
    SELECT o.booking_id, 'card', card, o.lapses_at, o.ended_at, o.unpaid
    FROM hold_origins AS o WHERE o.booking_id = booking AND o.kind <> 'card'
    LIMIT 1
    ON CONFLICT DO NOTHING
$$;

REVOKE EXECUTE ON FUNCTION draw_tokens, claim_hold, declined_cards, note_declined_card FROM PUBLIC;
GRANT EXECUTE ON FUNCTION draw_tokens, claim_hold, note_declined_card TO pitstop_api;

CREATE FUNCTION note_end_of_hold() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    UPDATE hold_origins SET ended_at = clock_timestamp(), unpaid = NEW.status IN ('expired', 'payment_failed')
    WHERE booking_id = NEW.id AND ended_at IS NULL;
    RETURN NULL;
END
$$;
REVOKE EXECUTE ON FUNCTION note_end_of_hold FROM PUBLIC;
CREATE TRIGGER hold_ends AFTER UPDATE OF status ON bookings FOR EACH ROW
WHEN (OLD.status IN ('holding', 'awaiting_payment') AND NEW.status NOT IN ('holding', 'awaiting_payment'))
EXECUTE FUNCTION note_end_of_hold();

RESET ROLE;

-- migrate:down
DROP TRIGGER hold_ends ON bookings;
DROP FUNCTION note_end_of_hold, note_declined_card, claim_hold, declined_cards, growing_delay, draw_tokens, tokens_left;
DROP TABLE hold_origins, rate_limits;
