-- The waitlist as the worker serves it: what has come free is offered to the first in line.

-- name: one_at_a_time
-- Who looks for the next offer, does it alone: two at once would both see the same slot free, and the same entry without one.
SELECT pg_advisory_xact_lock(hashtextextended('the waitlist is served', 0))

-- name: unheld_offer
-- One that was found and not held: whoever found it was stopped in between.
SELECT
    b.id AS booking_id, encode(b.request_fingerprint, 'hex') AS fingerprint, b.mechanic_id, b.customer_id, b.starts_at, b.status,
    b.waitlist_entry_id
FROM bookings AS b
WHERE b.waitlist_entry_id IS NOT NULL AND b.status = 'holding' AND b.hold_expires_at IS NULL
ORDER BY b.created_at, b.id
LIMIT 1

-- name: oldest_freed
SELECT id, mechanic_id, span FROM freed_slots ORDER BY id LIMIT 1

-- name: looked_at
DELETE FROM freed_slots WHERE id = $1

-- name: line
-- Who waits for this time of this mechanic's, first come first. $3: those who were refused it just now.
SELECT e.id
FROM waitlist_entries AS e
WHERE e.status = 'waiting' AND (e.mechanic_id IS NULL OR e.mechanic_id = $1) AND e.id <> ALL($3::uuid[])
    AND e.span && starts_around($2::tstzrange, e.service_id, $1)
    AND NOT EXISTS (
        SELECT FROM bookings AS o WHERE o.waitlist_entry_id = e.id AND o.status IN ('holding', 'awaiting_payment')
    )
ORDER BY e.place

-- name: lock_entry
-- Only locks: what others did while it was waited for is seen by a statement that begins after it.
SELECT FROM waitlist_entries WHERE id = $1 FOR UPDATE

-- name: fit
-- What the entry could have of it: a start that leaves time ($5) to answer. Nothing for one that waits no more.
SELECT fit.starts_at
FROM waitlist_entries AS e
JOIN plans AS p ON p.id = e.plan_id AND p.active
CROSS JOIN LATERAL first_fit(
    e.service_id, ARRAY[$2::uuid],
    e.span * starts_around($3::tstzrange, e.service_id, $2) * tstzrange($4::timestamptz + $5::interval, NULL),
    e.timezone, e.earliest, e.latest, $4, e.id
) AS fit
WHERE e.id = $1 AND e.status = 'waiting' AND (
    e.mechanic_id = $2
    OR EXISTS (
        SELECT FROM matching_mechanics(e.service_id, e.country, e.city, e.postal_code) AS near WHERE near.mechanic_id = $2
    )
)

-- name: open_offer
-- The entry's wish as a booking, at today's price and by today's policy; made by whoever made the entry.
WITH counted AS (
    UPDATE waitlist_entries SET offers = $2 WHERE id = $1 AND offers = $2 - 1 RETURNING *
)
INSERT INTO bookings (
    id, request_fingerprint, created_by, created_by_role, customer_id, customer_name, customer_email, customer_phone, country,
    city, postal_code, intake, timezone, service_id, plan_id, mechanic_id, preferred_mechanic_id, starts_at, ends_at,
    buffer_before_minutes, buffer_after_minutes, amount, currency, policy, sms_consent, language, reminder_offsets,
    waitlist_entry_id
)
SELECT
    $3, sha256(uuid_send($3)), e.created_by, e.created_by_role, e.customer_id, e.customer_name, e.customer_email,
    e.customer_phone, e.country, e.city, e.postal_code, e.intake, e.timezone, s.id, p.id, $4, e.mechanic_id, $5,
    $5::timestamptz + make_interval(mins => s.duration_minutes),
    greatest(s.buffer_before_minutes, ms.buffer_before_minutes), greatest(s.buffer_after_minutes, ms.buffer_after_minutes),
    p.amount, p.currency, COALESCE(own.terms, standard.terms), e.sms_consent, e.language, s.reminder_offsets, e.id
FROM counted AS e
JOIN services AS s ON s.id = e.service_id
JOIN plans AS p ON p.id = e.plan_id
JOIN mechanic_services AS ms ON ms.service_id = s.id AND ms.mechanic_id = $4
JOIN booking_policies AS standard ON standard.name = 'standard'
LEFT JOIN booking_policies AS own ON own.id = s.policy_id
RETURNING
    bookings.id AS booking_id, encode(bookings.request_fingerprint, 'hex') AS fingerprint, bookings.mechanic_id,
    bookings.customer_id, bookings.starts_at, bookings.status, bookings.waitlist_entry_id

-- name: offers_made
SELECT offers FROM waitlist_entries WHERE id = $1

-- name: withdraw_offer
-- One that was refused leaves nothing behind.
DELETE FROM bookings WHERE id = $1 AND status = 'holding' AND hold_expires_at IS NULL

-- name: look
-- Entries that are due for a look, or, without that, those looked at longest ago.
UPDATE waitlist_entries AS e SET looked_at = clock_timestamp()
FROM (
    SELECT id FROM waitlist_entries AS w
    WHERE w.status = 'waiting' AND (w.looked_at IS NULL OR NOT $2::boolean) AND NOT EXISTS (
        SELECT FROM bookings AS o WHERE o.waitlist_entry_id = w.id AND o.status IN ('holding', 'awaiting_payment')
    )
    ORDER BY w.looked_at NULLS FIRST, w.place
    LIMIT $1
    FOR UPDATE SKIP LOCKED
) AS due
WHERE e.id = due.id
RETURNING e.id, e.place

-- name: note_what_is_free
-- Something is free that fits: who gets it is decided in line.
SELECT note_freed(fit.mechanic_id, tstzrange(fit.starts_at, fit.ends_at))
FROM waitlist_entries AS e
CROSS JOIN LATERAL first_fit(
    e.service_id,
    CASE WHEN e.mechanic_id IS NULL
        THEN ARRAY(SELECT m.mechanic_id FROM matching_mechanics(e.service_id, e.country, e.city, e.postal_code) AS m)
    ELSE ARRAY[e.mechanic_id] END,
    e.span * tstzrange($2::timestamptz + $3::interval, NULL), e.timezone, e.earliest, e.latest, $2, e.id
) AS fit
WHERE e.id = $1

-- name: lapse
UPDATE waitlist_entries SET status = 'lapsed', updated_at = clock_timestamp() WHERE status = 'waiting' AND upper(span) <= $1

-- name: is_owed_something
SELECT
    EXISTS (SELECT FROM freed_slots)
    OR EXISTS (SELECT FROM waitlist_entries WHERE status = 'waiting' AND looked_at IS NULL)
    OR EXISTS (
        SELECT FROM bookings WHERE waitlist_entry_id IS NOT NULL AND status = 'holding' AND hold_expires_at IS NULL
    )
