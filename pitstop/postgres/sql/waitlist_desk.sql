-- The API's side of the waitlist, as the role `pitstop_api`: row-level security decides what each block can see.

-- name: known
-- What a repeated request finds under its key.
SELECT id, request_fingerprint FROM waitlist_entries WHERE id = $1

-- name: one_at_a_time
-- Who joins for one customer, joins one after another: then the count holds, and a wish is on record once.
SELECT pg_advisory_xact_lock(hashtextextended('waitlist of ' || $1::uuid::text, 0))

-- name: same_wish
SELECT id FROM waitlist_entries WHERE customer_id = $1 AND wish = $2 AND status = 'waiting'

-- name: count_waiting
SELECT count(*) FROM waitlist_entries WHERE customer_id = $1 AND status = 'waiting'

-- name: free_now
-- Whether the wish can be had without waiting: the first slot that fits.
SELECT fit.mechanic_id, fit.starts_at AS start, fit.ends_at AS "end"
FROM first_fit(
    $1,
    CASE WHEN $2::uuid IS NULL THEN ARRAY(SELECT m.mechanic_id FROM matching_mechanics($1, $3, $4, $5) AS m) ELSE ARRAY[$2] END,
    tstzrange(greatest($6::timestamptz, $11), $7), $8, $9, $10, $11, NULL
) AS fit

-- name: join
INSERT INTO waitlist_entries (
    id, request_fingerprint, wish, created_by, customer_id, customer_name, customer_email, customer_phone, sms_consent, language,
    country, city, postal_code, intake, timezone, service_id, plan_id, mechanic_id, span, earliest, latest, missed_at_most
) VALUES (
    $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, tstzrange($19, $20), $21, $22, $23
)
ON CONFLICT DO NOTHING
RETURNING id

-- name: entry
-- Whoever waits, or has waited; and what is offered at this moment, as far as the caller may see it.
SELECT
    e.id, CASE WHEN e.status = 'waiting' AND o.id IS NOT NULL THEN 'offered' ELSE e.status END AS status,
    waitlist_position(e.id) AS position, e.service_id, e.plan_id, e.mechanic_id, e.customer_id,
    lower(e.span) AS "from", upper(e.span) AS "to", e.timezone, e.earliest, e.latest, e.missed,
    e.missed_at_most - e.missed AS misses_left, e.created_at, o.id AS offered_booking_id
FROM waitlist_entries AS e
LEFT JOIN bookings AS o ON o.waitlist_entry_id = e.id AND o.status = 'awaiting_payment'
WHERE e.id = $1

-- name: list_entries
-- Newest first; the cursor is the last row of the page before. $4: whose they are, if a customer asks, as with bookings.
SELECT
    e.id, CASE WHEN e.status = 'waiting' AND o.id IS NOT NULL THEN 'offered' ELSE e.status END AS status,
    waitlist_position(e.id) AS position, e.service_id, e.plan_id, e.mechanic_id, e.customer_id,
    lower(e.span) AS "from", upper(e.span) AS "to", e.timezone, e.earliest, e.latest, e.missed,
    e.missed_at_most - e.missed AS misses_left, e.created_at, o.id AS offered_booking_id
FROM waitlist_entries AS e
LEFT JOIN bookings AS o ON o.waitlist_entry_id = e.id AND o.status = 'awaiting_payment'
WHERE ($1::timestamptz IS NULL OR (e.created_at, e.id) < ($1, $2::uuid))
    AND ($4::uuid IS NULL OR e.customer_id = $4)
ORDER BY e.created_at DESC, e.id DESC
LIMIT $3

-- name: leave
UPDATE waitlist_entries SET status = 'left', updated_at = clock_timestamp() WHERE id = $1 AND status = 'waiting' RETURNING id

-- name: open_offer
-- What is held for the entry, or about to be, and not paid for.
SELECT id FROM bookings WHERE waitlist_entry_id = $1 AND status IN ('holding', 'awaiting_payment')
