-- The API's side of bookings, as the role `pitstop_api`: row-level security decides what each block can see.

-- name: become
SELECT set_config('pitstop.role', $1, TRUE), set_config('pitstop.subject', $2, TRUE)

-- name: known
-- What a repeated request finds under its key.
SELECT status, request_fingerprint FROM bookings WHERE id = $1

-- name: choice
-- Any mechanic would do: the one who gets it, if anybody has it free.
SELECT fairest_mechanic($1, $2, $3, $4, $5, $6)

-- name: offer
-- The service, the plan and the mechanic's side of it; `reason` says why the slot cannot be had.
SELECT
    s.id AS service_id, s.name AS service_name, p.id AS plan_id, p.amount, p.currency, s.duration_minutes, s.reminder_offsets,
    greatest(s.buffer_before_minutes, ms.buffer_before_minutes) AS buffer_before_minutes,
    greatest(s.buffer_after_minutes, ms.buffer_after_minutes) AS buffer_after_minutes,
    COALESCE(own.terms, standard.terms) AS policy, m.id AS mechanic_id, m.name AS mechanic_name, slot_refusal(m.id, s.id, $4, $5) AS reason
FROM services AS s
JOIN plans AS p ON p.service_id = s.id AND p.id = $2 AND p.active
JOIN mechanic_services AS ms ON ms.service_id = s.id AND ms.mechanic_id = $3
JOIN mechanics AS m ON m.id = ms.mechanic_id
JOIN booking_policies AS standard ON standard.name = 'standard'
LEFT JOIN booking_policies AS own ON own.id = s.policy_id
WHERE s.id = $1 AND s.active

-- name: offer_now
-- An immediate session: the service, the plan, and whether ($3: the preferred mechanic, null for none) somebody could take it
-- at this moment. Nobody is held to it: that is settled when it is paid.
SELECT
    s.id AS service_id, s.name AS service_name, p.id AS plan_id, p.amount, p.currency, s.duration_minutes,
    s.buffer_before_minutes, s.buffer_after_minutes, COALESCE(own.terms, standard.terms) AS policy, NULL::uuid AS mechanic_id,
    s.reminder_offsets,
    CASE
        WHEN NOT COALESCE(s.immediate, s.kind IN ('video', 'chat')) THEN 'not_offered'
        WHEN NOT EXISTS (SELECT FROM takers_now(s.id, $4, $5, $6, $7)) THEN 'offline'
    END AS reason
FROM services AS s
JOIN plans AS p ON p.service_id = s.id AND p.id = $2 AND p.active
JOIN booking_policies AS standard ON standard.name = 'standard'
LEFT JOIN booking_policies AS own ON own.id = s.policy_id
WHERE s.id = $1 AND s.active
    AND ($3::uuid IS NULL OR EXISTS (SELECT FROM mechanic_services AS ms WHERE ms.service_id = s.id AND ms.mechanic_id = $3))

-- name: why_nobody
-- Any mechanic would do, and nobody can: of the nearest fifty, the reason that is nearest to a slot.
SELECT judged.reason
FROM (
    SELECT slot_refusal(matching.mechanic_id, $1, $5, $6) AS reason
    FROM matching_mechanics($1, $2, $3, $4) AS matching
    ORDER BY matching.distance, matching.mechanic_id
    LIMIT 50
) AS judged
ORDER BY array_position(
    ARRAY['taken', 'time_off', 'outside_hours', 'too_soon', 'too_far', 'offline', 'not_offered'], judged.reason
) NULLS FIRST
LIMIT 1

-- name: misnamed
-- Which field of a request that is not offered is at fault: an id that names nothing bookable, the place, or the start.
SELECT CASE
    WHEN NOT EXISTS (SELECT FROM services WHERE id = $1 AND active) THEN 'service_id'
    WHEN NOT EXISTS (SELECT FROM plans WHERE id = $2 AND service_id = $1 AND active) THEN 'plan_id'
    WHEN NOT EXISTS (
        SELECT FROM mechanic_services WHERE service_id = $1 AND ($3::uuid IS NULL OR mechanic_id = $3)
    ) THEN 'mechanic_id'
    WHEN $3::uuid IS NULL AND NOT EXISTS (SELECT FROM matching_mechanics($1, $4, $5, $6)) THEN 'location'
    ELSE 'start'
END

-- name: open_booking
INSERT INTO bookings (
    id, request_fingerprint, created_by, customer_id, customer_name, customer_email, customer_phone, country, city, postal_code,
    intake, timezone, service_id, plan_id, mechanic_id, preferred_mechanic_id, starts_at, ends_at, buffer_before_minutes,
    buffer_after_minutes, amount, currency, policy, sms_consent, language, reminder_offsets, duration_minutes,
    referral_id, referred_from
) VALUES (
    $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22, $23, $24, $25, $26, $27,
    $28, $29
)
ON CONFLICT (id) DO NOTHING
RETURNING id

-- name: withdraw
DELETE FROM bookings
WHERE id = $1 AND request_fingerprint = $2 AND status = 'holding' AND hold_expires_at IS NULL
RETURNING id

-- name: booking
SELECT
    b.id, b.status, b.version, b.service_id, b.plan_id, b.mechanic_id, b.customer_id, b.starts_at AS start, b.ends_at AS "end",
    b.timezone, b.hold_expires_at, b.amount, b.currency, b.created_at, s.id AS session_id,
    waiver_status(b.id) AS waiver_status,
    p.payment_intent_id, client_secret_of(b.id) AS client_secret, p.status AS payment_status, encode(b.request_fingerprint, 'hex') AS fingerprint,
    COALESCE(
        (SELECT sum(r.amount) FROM refunds AS r WHERE r.booking_id = b.id AND r.refunded_at IS NOT NULL), 0
    )::bigint AS amount_refunded,
    COALESCE(
        (SELECT sum(r.amount) FROM refunds AS r WHERE r.booking_id = b.id AND r.refunded_at IS NULL), 0
    )::bigint AS amount_awaiting_refund,
    COALESCE((
        SELECT jsonb_agg(jsonb_build_object('kind', f.kind, 'reason', f.reason, 'since', f.since) ORDER BY f.since)
        FROM booking_flags AS f
        WHERE f.booking_id = b.id AND f.resolved_at IS NULL AND f.mechanic_id = b.mechanic_id
            AND b.status IN ('awaiting_payment', 'confirmed')
    ), '[]') AS flags,
    (
        SELECT jsonb_build_object('id', o.id, 'options', o.options, 'proposed_by', o.proposed_by, 'expires_at', o.expires_at)
        FROM proposals AS o WHERE o.booking_id = b.id AND o.status = 'open'
    ) AS proposal,
    -- The newest: what is to be paid for a move, or what has become of that.
    (
        SELECT jsonb_build_object(
            'id', u.id, 'status', u.status, 'amount', u.amount, 'currency', u.currency, 'expires_at', u.expires_at,
            'service_id', u.service_id, 'plan_id', u.plan_id, 'mechanic_id', u.mechanic_id, 'start', u.starts_at,
            'end', u.ends_at, 'payment_intent_id', d.payment_intent_id, 'payment_status', d.status,
            'client_secret', CASE u.status WHEN 'open' THEN supplement_secret_of(u.id) END
        )
        FROM supplements AS u
        LEFT JOIN payments AS d ON d.supplement_id = u.id
        WHERE u.booking_id = b.id
        ORDER BY u.asked_at DESC, u.id DESC
        LIMIT 1
    ) AS supplement,
    b.referred_from,
    COALESCE((
        SELECT jsonb_agg(jsonb_build_object(
            'id', f.id, 'service_id', f.service_id, 'plan_id', f.plan_id, 'workshop_id', f.workshop_id,
            'mechanic_id', f.mechanic_id, 'start', f.start, 'note', f.note, 'made_at', f.made_at, 'expires_at', f.expires_at,
            'booking_id', (
                SELECT n.id FROM bookings AS n
                WHERE n.referral_id = f.id AND n.status NOT IN ('expired', 'payment_failed', 'cancelled', 'refunded')
            )
        ) ORDER BY f.made_at, f.id)
        FROM referrals AS f WHERE f.booking_id = b.id
    ), '[]') AS referrals,
    b.workshop_id, b.workshop_status, b.workshop_answer_by,
    b.policy, b.moves, b.duration_minutes IS NOT NULL AS immediate, b.offers_end_at AS offered_until, s.scheduled_for_original,
    s.started_at, s.ended_at, s.absent
FROM bookings AS b
LEFT JOIN sessions AS s ON s.booking_id = b.id
LEFT JOIN payments AS p ON p.booking_id = b.id AND p.supplement_id IS NULL
WHERE b.id = $1

-- name: standing
SELECT id AS booking_id, encode(request_fingerprint, 'hex') AS fingerprint, mechanic_id, customer_id, starts_at, status
FROM bookings WHERE id = $1

-- name: offered
-- The same of one that is, or was, offered to the mechanic who asks.
SELECT booking_id, fingerprint, mechanic_id, customer_id, starts_at, status FROM offered_booking($1)

-- name: ask
INSERT INTO booking_changes (id, booking_id, kind, asked_by_role, asked_by, wanted, reason) VALUES ($1, $2, $3, $4, $5, $6, $7)

-- name: take_back
DELETE FROM booking_changes WHERE id = $1 AND outcome IS NULL RETURNING id

-- name: decided
SELECT outcome, detail FROM booking_changes WHERE id = $1

-- name: heard
UPDATE booking_changes SET heard_at = clock_timestamp() WHERE id = $1

-- name: events
SELECT id, at, event, detail FROM booking_events WHERE booking_id = $1 AND id > $2 ORDER BY id

-- name: status
-- With the oldest transaction that is still running, and the next that will begin: what has begun before that one may still
-- bring entries with lower ids than those that are here.
SELECT
    status, oldest::text::bigint AS oldest_running, oldest::text::bigint + age(oldest::xid) AS next_transaction
FROM bookings, pg_snapshot_xmin(pg_current_snapshot()) AS oldest
WHERE id = $1

-- name: sheet
-- The booking as its customer is shown it, on a page or in a calendar.
SELECT
    b.id AS booking_id, s.kind, s.name AS service_name, p.name AS plan_name, COALESCE(m.name, '') AS mechanic_name,
    b.customer_name, b.customer_email, b.timezone AS customer_timezone,
    COALESCE(CASE s.kind WHEN 'in_person' THEN w.timezone END, m.timezone, b.timezone) AS venue_timezone, b.mechanic_id,
    -- Nobody has taken it: the times that it would have had at once.
    b.mechanic_id IS NULL AS untaken, COALESCE(b.starts_at, b.created_at) AS start,
    COALESCE(b.ends_at, b.created_at + make_interval(mins => b.duration_minutes)) AS "end",
    CASE s.kind WHEN 'in_person' THEN COALESCE(w.address, m.address) END AS venue_address,
    b.amount, b.currency, b.language, b.invite_sequence, b.status, b.hold_expires_at,
    CASE WHEN b.status = 'confirmed' AND b.workshop_status IN ('awaiting', 'proposed') THEN b.workshop_status END AS unanswered,
    b.workshop_answer_by AS answer_by,
    EXISTS (
        SELECT FROM booking_flags AS f
        WHERE f.booking_id = b.id AND f.resolved_at IS NULL AND f.mechanic_id = b.mechanic_id AND b.status = 'confirmed'
    ) AS mechanic_away,
    (
        SELECT jsonb_agg(option || jsonb_build_object('mechanic', other.name, 'proposal_id', o.id) ORDER BY place)
        FROM proposals AS o
        CROSS JOIN jsonb_array_elements(o.options) WITH ORDINALITY AS offered (option, place)
        LEFT JOIN mechanics AS other ON other.id = (option ->> 'mechanic_id')::uuid
        WHERE o.booking_id = b.id AND o.status = 'open'
    ) AS options,
    (
        SELECT jsonb_build_object(
            'status', u.status, 'amount', u.amount, 'until', u.expires_at, 'start', u.starts_at, 'end', u.ends_at,
            'plan', t.name, 'service', v.name, 'mechanic', COALESCE(who.name, '')
        )
        FROM supplements AS u
        JOIN services AS v ON v.id = u.service_id
        JOIN plans AS t ON t.id = u.plan_id
        LEFT JOIN mechanics AS who ON who.id = u.mechanic_id
        WHERE u.booking_id = b.id
        ORDER BY u.asked_at DESC, u.id DESC
        LIMIT 1
    ) AS supplement,
    b.mechanic_id IS NOT NULL AND EXISTS (SELECT FROM sessions WHERE sessions.booking_id = b.id) AS was_confirmed,
    b.duration_minutes IS NOT NULL AS immediate,
    (SELECT i.at FROM check_ins AS i WHERE i.booking_id = b.id AND i.party = 'customer') AS checked_in_at,
    COALESCE(
        (SELECT sum(r.amount) FROM refunds AS r WHERE r.booking_id = b.id AND r.refunded_at IS NOT NULL), 0
    )::bigint AS amount_refunded,
    COALESCE(
        (SELECT sum(r.amount) FROM refunds AS r WHERE r.booking_id = b.id AND r.refunded_at IS NULL), 0
    )::bigint AS amount_awaiting_refund,
    COALESCE(
        (SELECT sum(d.amount) FROM payments AS d WHERE d.booking_id = b.id AND d.paid_at IS NOT NULL), 0
    )::bigint AS amount_paid
FROM bookings AS b
JOIN services AS s ON s.id = b.service_id
JOIN plans AS p ON p.id = b.plan_id
LEFT JOIN mechanics AS m ON m.id = b.mechanic_id
LEFT JOIN slot_reservations AS held
    ON held.booking_id = b.id AND held.status IN ('reserved', 'confirmed') AND held.proposal_id IS NULL
    AND held.supplement_id IS NULL
LEFT JOIN bays ON bays.id = held.bay_id
LEFT JOIN workshops AS w ON w.id = COALESCE(bays.workshop_id, b.workshop_id, m.workshop_id)
WHERE b.id = $1

-- name: plan_for_what_is_asked
-- What is not asked for is no part of the plan then.
SELECT set_config('plan_cache_mode', 'force_custom_plan', TRUE)

-- name: list_bookings
-- Newest first; the cursor is the last row of the page before. $9 to $11: whose they are, if a customer, a mechanic or a service
-- asks. Row-level security says so, too, but in words that no index understands.
SELECT
    b.id, b.status, b.version, b.service_id, b.plan_id, b.mechanic_id, b.customer_id, b.starts_at AS start, b.ends_at AS "end",
    b.timezone, b.hold_expires_at, b.amount, b.currency, b.workshop_status, b.created_at
FROM bookings AS b
WHERE ($1::text IS NULL OR b.status = $1)
    AND ($2::uuid IS NULL OR b.mechanic_id = $2)
    AND ($3::timestamptz IS NULL OR b.starts_at >= $3)
    AND ($4::timestamptz IS NULL OR b.starts_at < $4)
    AND ($5::timestamptz IS NULL OR (b.created_at, b.id) < ($5, $6::uuid))
    -- An array, which an index can be asked for: flags that stand are few.
    AND ($8::boolean IS NOT TRUE OR b.id = ANY(ARRAY(SELECT booking_id FROM booking_flags WHERE resolved_at IS NULL)))
    AND ($8 IS NULL OR $8 = (b.status = 'confirmed' AND EXISTS (
        SELECT FROM booking_flags AS f
        WHERE f.booking_id = b.id AND f.resolved_at IS NULL AND f.mechanic_id = b.mechanic_id
    )))
    AND ($9::uuid IS NULL OR b.customer_id = $9)
    AND ($10::uuid IS NULL OR b.mechanic_id = $10 OR b.workshop_id = (SELECT kept_workshop()))
    AND ($11::text IS NULL OR b.created_by = $11)
ORDER BY b.created_at DESC, b.id DESC
LIMIT $7

-- name: erasure
SELECT customer_id, requested_at, bookings, left_at_stripe, completed_at FROM erasures WHERE customer_id = $1
