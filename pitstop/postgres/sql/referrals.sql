-- Referrals, as the role `pitstop_api`: row-level security decides what each block can see.

-- name: become
SELECT set_config('pitstop.role', $1, TRUE), set_config('pitstop.subject', $2, TRUE)

-- name: session
-- The booking that is referred from.
SELECT
    b.id AS booking_id, b.status, b.customer_id, b.mechanic_id, CASE b.created_by_role WHEN 'service' THEN b.created_by END AS service,
    COALESCE(v.kind, s.kind) AS kind
FROM bookings AS b
JOIN services AS s ON s.id = b.service_id
LEFT JOIN sessions AS v ON v.booking_id = b.id
WHERE b.id = $1

-- name: known
-- What a repeated request finds under its key.
SELECT
    id, booking_id, service_id, plan_id, workshop_id, mechanic_id, start, note, made_at, expires_at, request_fingerprint
FROM referrals WHERE id = $1

-- name: misnamed
-- Which field names nothing that can be recommended.
SELECT CASE
    WHEN NOT EXISTS (SELECT FROM services WHERE id = $1 AND active AND kind = 'in_person') THEN 'service_id'
    WHEN NOT EXISTS (SELECT FROM plans WHERE id = $2 AND service_id = $1 AND active) THEN 'plan_id'
    WHEN $3::uuid IS NOT NULL AND NOT EXISTS (SELECT FROM workshops WHERE id = $3) THEN 'workshop_id'
    WHEN $4::uuid IS NOT NULL AND NOT EXISTS (
        SELECT FROM mechanic_services WHERE mechanic_id = $4 AND service_id = $1
    ) THEN 'mechanic_id'
END

-- name: refer
-- The mail to the customer is owed from the same statement on: a trigger sees to it.
INSERT INTO referrals (
    id, booking_id, customer_id, opened_by_service, made_by, service_id, plan_id, workshop_id, mechanic_id, start, note, made_at,
    expires_at, request_fingerprint
)
SELECT $1, $2, $3, $4, $5, $6, $7, COALESCE($8, (SELECT workshop_id FROM mechanics WHERE id = $9)), $9, $10, $11, $12, $13, $14
ON CONFLICT DO NOTHING
RETURNING id, booking_id, service_id, plan_id, workshop_id, mechanic_id, start, note, made_at, expires_at

-- name: is_erased
-- Asked after the insert, whose foreign key has the booking locked: an erasure came before it, or comes after it and removes it.
SELECT erased_at IS NOT NULL FROM bookings WHERE id = $1

-- name: offer
-- What whoever has the link is shown.
SELECT
    r.service_id, s.name AS service, r.plan_id, p.name AS plan, p.amount, p.currency, r.workshop_id, w.name AS workshop,
    w.address AS workshop_address, r.mechanic_id, m.name AS mechanic, r.start, r.note, r.expires_at, r.booking_id,
    r.customer_id
FROM referrals AS r
JOIN services AS s ON s.id = r.service_id
JOIN plans AS p ON p.id = r.plan_id
LEFT JOIN workshops AS w ON w.id = r.workshop_id
LEFT JOIN mechanics AS m ON m.id = r.mechanic_id
WHERE r.id = $1

-- name: reader
-- How the customer who was referred is written to.
SELECT language, timezone FROM bookings WHERE id = $1

-- name: is_used
-- As the index has it that lets it be used once (one_booking_of_a_referral).
SELECT EXISTS (
    SELECT FROM bookings WHERE referral_id = $1 AND status NOT IN ('expired', 'payment_failed', 'cancelled', 'refunded')
)

-- name: referred
-- The customer of a referral, with the data that need not be typed again.
SELECT
    r.id AS referral_id, r.booking_id AS referred_from, r.service_id, r.expires_at, b.customer_id, b.customer_name, b.customer_email,
    b.customer_phone, b.sms_consent, b.language, b.country, b.city, b.postal_code
FROM referrals AS r
JOIN bookings AS b ON b.id = r.booking_id AND b.erased_at IS NULL
WHERE r.id = $1
