-- migrate:up
SET LOCAL lock_timeout = '5s';
SET LOCAL statement_timeout = '60s';
SET LOCAL ROLE pitstop_owner;

-- An offer is over, in the transaction that ends it. Paid: the entry has what it waited for. Let pass: it goes to the end of
-- the line, or out of it. Cancelled by its customer: it keeps its place, but that counts as one let pass, so that nobody holds
-- up the line for ever. Lost through no fault of the customer's: it keeps its place. As long as it waits it is due for a look,
-- because what came free while it had the offer was nobody else's.
CREATE OR REPLACE FUNCTION settle_offer() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    UPDATE notifications SET status = 'skipped', detail = 'the offer is over'
    WHERE booking_id = NEW.id AND kind = 'waitlist_offer' AND status IN ('pending', 'sending');
    IF NEW.status IN ('confirmed', 'pending') THEN
        UPDATE waitlist_entries SET status = 'fulfilled', updated_at = clock_timestamp() WHERE id = NEW.waitlist_entry_id;
    ELSIF NEW.status IN ('expired', 'payment_failed') THEN
        UPDATE waitlist_entries SET
            place = DEFAULT, missed = missed + 1, looked_at = NULL, updated_at = clock_timestamp(),
            status = CASE WHEN missed + 1 >= missed_at_most THEN 'closed' ELSE status END
        WHERE id = NEW.waitlist_entry_id AND status = 'waiting';
    ELSIF NEW.status = 'cancelled' AND EXISTS (
        SELECT FROM booking_events AS e
        WHERE e.booking_id = NEW.id AND e.event = 'cancelled' AND e.detail ->> 'by' IN ('customer', 'link', 'service')
    ) THEN
        UPDATE waitlist_entries SET
            missed = missed + 1, looked_at = NULL, updated_at = clock_timestamp(),
            status = CASE WHEN missed + 1 >= missed_at_most THEN 'closed' ELSE status END
        WHERE id = NEW.waitlist_entry_id AND status = 'waiting';
    ELSE
        UPDATE waitlist_entries SET looked_at = NULL WHERE id = NEW.waitlist_entry_id AND status = 'waiting';
    END IF;
    RETURN NULL;
END
$$;

RESET ROLE;

-- migrate:down
SET LOCAL ROLE pitstop_owner;

CREATE OR REPLACE FUNCTION settle_offer() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    UPDATE notifications SET status = 'skipped', detail = 'the offer is over'
    WHERE booking_id = NEW.id AND kind = 'waitlist_offer' AND status IN ('pending', 'sending');
    IF NEW.status IN ('confirmed', 'pending') THEN
        UPDATE waitlist_entries SET status = 'fulfilled', updated_at = clock_timestamp() WHERE id = NEW.waitlist_entry_id;
    ELSIF NEW.status IN ('expired', 'payment_failed') THEN
        UPDATE waitlist_entries SET
            place = DEFAULT, missed = missed + 1, looked_at = NULL, updated_at = clock_timestamp(),
            status = CASE WHEN missed + 1 >= missed_at_most THEN 'closed' ELSE status END
        WHERE id = NEW.waitlist_entry_id AND status = 'waiting';
    ELSE
        UPDATE waitlist_entries SET looked_at = NULL WHERE id = NEW.waitlist_entry_id AND status = 'waiting';
    END IF;
    RETURN NULL;
END
$$;

RESET ROLE;
