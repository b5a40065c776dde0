-- migrate:up
SET LOCAL lock_timeout = '5s';
SET LOCAL statement_timeout = '60s';
SET LOCAL ROLE pitstop_owner;

-- The same guards; but the booking is in them as bytes. As a plain column it made these indexes look as good as the booking's
-- own ones for finding its reservations, of which they hold every page to be read: hundreds where three will do.
ALTER TABLE slot_reservations
    -- squawk-ignore ban-drop-constraint
    DROP CONSTRAINT one_booking_at_a_time,
    -- squawk-ignore ban-drop-constraint
    DROP CONSTRAINT one_booking_in_a_bay,
    -- squawk-ignore constraint-missing-not-valid
    ADD CONSTRAINT one_booking_at_a_time
    EXCLUDE USING gist (mechanic_id WITH =, blocked WITH &&, uuid_send(booking_id) WITH <>)
    WHERE (status IN ('reserved', 'confirmed')),
    -- squawk-ignore constraint-missing-not-valid
    ADD CONSTRAINT one_booking_in_a_bay EXCLUDE USING gist (bay_id WITH =, blocked WITH &&, uuid_send(booking_id) WITH <>)
    WHERE (status IN ('reserved', 'confirmed') AND bay_id IS NOT NULL);

-- The same rule; but the booking of a link is looked up by its id, not looked for among all.
ALTER POLICY own_entries ON waitlist_entries USING (
    CASE (SELECT caller_role())
        WHEN 'customer' THEN customer_id::text = (SELECT caller())
        WHEN 'service' THEN created_by = (SELECT caller()) AND created_by_role = 'service'
        WHEN 'link' THEN erased_at IS NULL
        AND id = (
            SELECT b.waitlist_entry_id FROM bookings AS b
            WHERE b.id = CASE (SELECT caller_role()) WHEN 'link' THEN (SELECT caller())::uuid END
        )
        ELSE (SELECT caller_role()) = 'operator'
    END
);

RESET ROLE;

-- migrate:down
SET LOCAL ROLE pitstop_owner;

ALTER POLICY own_entries ON waitlist_entries USING (
    CASE (SELECT caller_role())
        WHEN 'customer' THEN customer_id::text = (SELECT caller())
        WHEN 'service' THEN created_by = (SELECT caller()) AND created_by_role = 'service'
        WHEN 'link' THEN erased_at IS NULL
        AND id = (SELECT b.waitlist_entry_id FROM bookings AS b WHERE b.id::text = (SELECT caller()))
        ELSE (SELECT caller_role()) = 'operator'
    END
);

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

RESET ROLE;
