-- The worker's side: each block is a step of the saga, safe to run again. `now` ($n) is always the workflow's.

-- name: wait_for_booking
-- Steps on one booking come one after another. What the one before has done is seen by a statement that begins after this
-- one: rows of other tables that are read beside the lock are as they were when the waiting began.
SELECT FROM bookings WHERE id = $1 FOR UPDATE

-- name: lock_booking
-- The booking as it stands, locked.
SELECT
    b.workshop_id, b.confirms_within_minutes, b.workshop_status, b.workshop_answer_by,
    EXISTS (SELECT FROM workshops AS w WHERE w.id = b.workshop_id AND w.email IS NOT NULL) AS workshop_has_mail,
    b.id AS booking_id, b.status, b.mechanic_id, b.service_id, b.plan_id, b.hold_expires_at, b.starts_at, b.ends_at,
    b.amount, b.currency, b.version, b.policy, b.moves, b.waitlist_entry_id, b.timezone, b.reminder_offsets,
    b.sms_consent AND b.customer_phone IS NOT NULL AS wants_texts, b.customer_moves, b.refund_percent_at_most,
    tstzrange(
        b.starts_at - make_interval(mins => b.buffer_before_minutes), b.ends_at + make_interval(mins => b.buffer_after_minutes)
    ) AS blocked,
    (SELECT kind FROM services AS s WHERE s.id = b.service_id) AS kind,
    -- In person it is the workshop's.
    (
        SELECT COALESCE(w.timezone, m.timezone) FROM mechanics AS m
        LEFT JOIN workshops AS w ON w.id = COALESCE(b.workshop_id, m.workshop_id)
        WHERE m.id = b.mechanic_id
    ) AS venue_timezone,
    b.duration_minutes IS NOT NULL AS immediate, b.offers_reach, b.offers_widen_at, b.offers_end_at,
    CASE b.status WHEN 'pending' THEN LEAST(b.offers_widen_at, b.offers_end_at) END AS offers_due,
    r.id AS reservation_id, b.preferred_mechanic_id IS NULL AS any_mechanic,
    encode(b.request_fingerprint, 'hex') AS fingerprint, p.payment_intent_id, COALESCE(p.paid_at IS NOT NULL, FALSE) AS paid,
    EXISTS (SELECT FROM refunds AS f WHERE f.booking_id = b.id) AS refund_owed,
    EXISTS (SELECT FROM refunds AS f WHERE f.booking_id = b.id AND f.refunded_at IS NULL) AS refund_due,
    -- What the customer may still pay to have it moved; and what nobody is to pay any more and Stripe has to be told of.
    (
        SELECT jsonb_build_object(
            'id', u.id, 'amount', u.amount, 'currency', u.currency, 'expires', u.expires_at,
            'payment_intent_id', (SELECT d.payment_intent_id FROM payments AS d WHERE d.supplement_id = u.id)
        )
        FROM supplements AS u WHERE u.booking_id = b.id AND u.status = 'open'
    ) AS supplement,
    ARRAY(
        SELECT d.payment_intent_id
        FROM payments AS d
        JOIN supplements AS u ON u.id = d.supplement_id AND u.status <> 'open'
        WHERE d.booking_id = b.id AND d.supplement_id IS NOT NULL AND d.paid_at IS NULL AND d.status <> 'canceled'
        ORDER BY u.asked_at
    ) AS voids,
    -- The next moment at which somebody's time to answer is over.
    LEAST(
        (SELECT o.expires_at FROM proposals AS o WHERE o.booking_id = b.id AND o.status = 'open'),
        CASE b.status WHEN 'confirmed' THEN b.workshop_answer_by END
    ) AS lapses
FROM bookings AS b
LEFT JOIN slot_reservations AS r
    ON r.booking_id = b.id AND r.status IN ('reserved', 'confirmed') AND r.proposal_id IS NULL AND r.supplement_id IS NULL
LEFT JOIN payments AS p ON p.booking_id = b.id AND p.supplement_id IS NULL
WHERE b.id = $1
FOR UPDATE OF b

-- name: unsent_notices
SELECT n.key, n.kind, n.channel, n.due_at AS due, CASE n.kind WHEN 'reminder' THEN b.starts_at - n.due_at END AS "offset"
FROM notifications AS n
JOIN bookings AS b ON b.id = n.booking_id
WHERE n.booking_id = $1 AND n.status IN ('pending', 'sending')
ORDER BY n.due_at NULLS FIRST, n.created_at, n.key

-- name: next_choice
-- For a booking that any mechanic may have: who of those not yet tried should get it.
SELECT fairest_mechanic(service_id, country, city, postal_code, starts_at, $2, $3) FROM bookings WHERE id = $1

-- name: keep_still
SELECT keep_still($1, $2)

-- name: lapse_rivals
-- Holds on this interval of the mechanic, or of a bay of the same workshop, that have run out make way.
UPDATE slot_reservations SET status = 'expired'
WHERE (
    mechanic_id = $1
    OR bay_id IN (SELECT bays.id FROM bays JOIN mechanics AS m ON m.workshop_id = bays.workshop_id WHERE m.id = $1)
) AND blocked && $2 AND status = 'reserved' AND expires_at <= $3

-- name: assign
-- The booking is this mechanic's from here on, with the time around it that the mechanic wants. Holds on that time of the
-- mechanic, or of a bay of the same workshop, that have run out make way.
WITH assigned AS (
    UPDATE bookings AS b SET
        mechanic_id = ms.mechanic_id,
        buffer_before_minutes = greatest(s.buffer_before_minutes, ms.buffer_before_minutes),
        buffer_after_minutes = greatest(s.buffer_after_minutes, ms.buffer_after_minutes)
    FROM mechanic_services AS ms
    JOIN services AS s ON s.id = ms.service_id
    WHERE b.id = $1 AND ms.mechanic_id = $2 AND ms.service_id = b.service_id
    RETURNING tstzrange(
        b.starts_at - make_interval(mins => b.buffer_before_minutes), b.ends_at + make_interval(mins => b.buffer_after_minutes)
    ) AS blocked
),
lapsed AS (
    UPDATE slot_reservations AS r SET status = 'expired' FROM assigned
    WHERE (
        r.mechanic_id = $2
        OR r.bay_id IN (SELECT bays.id FROM bays JOIN mechanics AS m ON m.workshop_id = bays.workshop_id WHERE m.id = $2)
    ) AND r.blocked && assigned.blocked AND r.status = 'reserved' AND r.expires_at <= $3
)
SELECT blocked FROM assigned

-- name: grant_hold
-- The exclusion constraints decide: no row comes back when somebody else has the time, or the bay. The rules are asked
-- again here, by the one predicate that search and check use, because they may have changed since the customer looked.
WITH granted AS (
    INSERT INTO slot_reservations (id, booking_id, mechanic_id, bay_id, starts_at, ends_at, blocked, status, expires_at)
    SELECT
        $2, b.id, b.mechanic_id, bay.id, b.starts_at, b.ends_at, $6, 'reserved', $5
    FROM bookings AS b
    JOIN services AS s ON s.id = b.service_id
    LEFT JOIN free_bay(b.mechanic_id, $6, $3) AS bay (id) ON s.kind = 'in_person'
    WHERE b.id = $1 AND b.status = 'holding' AND (bay.id IS NOT NULL OR s.kind <> 'in_person')
        AND slot_refusal(b.mechanic_id, b.service_id, b.starts_at, $3) IS NULL
    ON CONFLICT DO NOTHING
    RETURNING booking_id, bay_id
),
noted AS (
    INSERT INTO booking_events (booking_id, at, event, detail)
    SELECT booking_id, $3, 'hold_placed', jsonb_build_object('hold_expires_at', $4::timestamptz) FROM granted
)
UPDATE bookings SET
    hold_expires_at = $4, workshop_id = workshop.id, confirms_within_minutes = workshop.confirms_within_minutes
FROM granted
LEFT JOIN bays ON bays.id = granted.bay_id
LEFT JOIN workshops AS workshop ON workshop.id = bays.workshop_id
WHERE bookings.id = granted.booking_id
RETURNING bookings.id

-- name: await_payment
-- An immediate session holds no time of anybody's: the customer has so long to pay.
UPDATE bookings SET hold_expires_at = $2 WHERE id = $1

-- name: why_refused
SELECT slot_refusal(mechanic_id, service_id, starts_at, $2) FROM bookings WHERE id = $1

-- name: release_hold_of_withdrawn
DELETE FROM slot_reservations WHERE booking_id = $1

-- name: withdraw_booking
-- What was refused leaves nothing behind.
DELETE FROM bookings WHERE id = $1

-- name: payment_terms
-- An immediate session has no mechanic yet: the one who was asked for, if any.
SELECT
    b.amount, b.currency, b.customer_email, COALESCE(b.mechanic_id, b.preferred_mechanic_id) AS mechanic_id, b.starts_at, s.name AS service_name, p.payment_intent_id
FROM bookings AS b
JOIN services AS s ON s.id = b.service_id
LEFT JOIN payments AS p ON p.booking_id = b.id AND p.supplement_id IS NULL
WHERE b.id = $1 AND b.status IN ('holding', 'awaiting_payment')

-- name: record_intent
WITH recorded AS (
    INSERT INTO payments (payment_intent_id, booking_id, amount, currency, client_secret, status)
    SELECT $2, b.id, b.amount, b.currency, $3, $4 FROM bookings AS b WHERE b.id = $1 AND b.status = 'holding'
    ON CONFLICT DO NOTHING
    RETURNING booking_id
),
noted AS (
    INSERT INTO booking_events (booking_id, at, event, detail)
    SELECT booking_id, $5, 'awaiting_payment', jsonb_build_object('payment_intent_id', $2::text) FROM recorded
)
UPDATE bookings SET status = 'awaiting_payment' FROM recorded
WHERE bookings.id = recorded.booking_id AND bookings.status = 'holding'
RETURNING bookings.id

-- name: record_decline
-- Once for each event of Stripe ($5), which the API and the sweep may both pass on, in the moment in which it comes; one without
-- a name, in a history of before, goes by its moment from the workflow. $4: the PaymentIntent of a supplement; null: the
-- booking's own.
WITH declined AS (
    -- One that is cancelled takes no card any more, whatever is heard late.
    UPDATE payments SET status = 'requires_payment_method', failure_code = $2, updated_at = $3
    WHERE booking_id = $1 AND paid_at IS NULL AND status <> 'canceled'
        AND CASE WHEN $4::text IS NULL THEN supplement_id IS NULL ELSE payment_intent_id = $4 END
    RETURNING booking_id
)
INSERT INTO booking_events (booking_id, at, event, detail)
SELECT
    booking_id, $3, 'payment_declined', jsonb_strip_nulls(jsonb_build_object('code', $2::text, 'event_id', $5::text))
FROM declined
WHERE NOT EXISTS (
    SELECT FROM booking_events
    WHERE booking_id = $1 AND event = 'payment_declined'
        AND (detail ->> 'event_id' = $5 OR (at = $3 AND NOT detail ? 'event_id'))
)

-- name: declines
-- Within the window, each of the booking's declined cards is counted for every booking that nobody has paid.
SELECT
    (SELECT count(*) FROM booking_events WHERE booking_id = $1 AND event = 'payment_declined') AS of_booking,
    COALESCE(max(cards.bookings), 0) AS bookings_of_card
FROM (
    SELECT count(*) AS bookings
    FROM hold_origins
    WHERE origin IN (SELECT origin FROM hold_origins WHERE booking_id = $1 AND kind = 'card')
        AND opened_at > clock_timestamp() - $2::interval AND unpaid IS DISTINCT FROM FALSE
    GROUP BY origin
) AS cards

-- name: agreed
-- A cheaper plan later on does not change what was to be paid.
SELECT COALESCE(p.amount, b.amount) AS amount, b.currency, p.payment_intent_id
FROM bookings AS b
LEFT JOIN payments AS p ON p.booking_id = b.id AND p.supplement_id IS NULL
WHERE b.id = $1

-- name: note_wrong_payment
INSERT INTO booking_events (booking_id, at, event, detail)
SELECT $1, $4, 'wrong_payment', jsonb_build_object('amount', $2::bigint, 'currency', $3::text)
WHERE NOT EXISTS (SELECT FROM booking_events WHERE booking_id = $1 AND event = 'wrong_payment')

-- name: confirm_hold
UPDATE slot_reservations SET status = 'confirmed' WHERE booking_id = $1 AND status = 'reserved' RETURNING id

-- name: retake_slot
-- The hold had gone when the money came: the slot is taken again if the mechanic's time is still open and nobody has it.
-- Notice and horizon were right when it was held.
INSERT INTO slot_reservations (id, booking_id, mechanic_id, bay_id, starts_at, ends_at, blocked, status, expires_at)
SELECT
    $2, b.id, b.mechanic_id, bay.id, b.starts_at, b.ends_at, $4, 'confirmed', $3
FROM bookings AS b
JOIN services AS s ON s.id = b.service_id
LEFT JOIN free_bay(b.mechanic_id, $4, $3) AS bay (id) ON s.kind = 'in_person'
JOIN bookable_starts(
    b.service_id, ARRAY[b.mechanic_id], tstzrange(b.starts_at, b.starts_at, '[]'), $3, notice => FALSE
) AS bookable ON bookable.starts @> b.starts_at
-- The time around the session is that of the booking, and may be longer than is asked for by now.
WHERE b.id = $1 AND b.starts_at > $3 AND (bay.id IS NOT NULL OR s.kind <> 'in_person')
ON CONFLICT DO NOTHING
RETURNING id

-- name: record_payment
UPDATE payments SET status = 'succeeded', failure_code = NULL, paid_at = $2, updated_at = $2
WHERE booking_id = $1 AND supplement_id IS NULL AND paid_at IS NULL
RETURNING booking_id

-- name: confirm_booking
-- Session, reservation, booking and the mails that are owed: all or nothing.
WITH made AS (
    INSERT INTO sessions (
        booking_id, kind, status, plan_id, intake, price_paid, currency, slot_reservation_id, customer_id, mechanic_id,
        preferred_mechanic_id, country, city, postal_code, scheduled_for, scheduled_for_original
    )
    SELECT
        b.id, s.kind, 'scheduled', b.plan_id, b.intake, b.amount, b.currency, $2, b.customer_id, b.mechanic_id,
        b.preferred_mechanic_id, b.country, b.city, b.postal_code, b.starts_at, b.starts_at
    FROM bookings AS b
    JOIN services AS s ON s.id = b.service_id
    WHERE b.id = $1
    RETURNING id, booking_id
),
tied AS (
    UPDATE slot_reservations SET session_id = made.id FROM made WHERE slot_reservations.id = $2
),
confirmed AS (
    UPDATE bookings SET
        status = 'confirmed',
        workshop_status = CASE WHEN bookings.confirms_within_minutes IS NOT NULL THEN 'awaiting' END,
        workshop_answer_by = CASE WHEN bookings.confirms_within_minutes IS NOT NULL THEN LEAST(
            bookings.starts_at, $3::timestamptz + make_interval(mins => bookings.confirms_within_minutes)
        ) END
    FROM made WHERE bookings.id = made.booking_id
),
noted AS (
    INSERT INTO booking_events (booking_id, at, event, detail)
    SELECT booking_id, $3, noted.event, noted.detail
    FROM made, (
        VALUES
        ('payment_succeeded', '{}'::jsonb),
        ('confirmed', jsonb_build_object(
            -- How many mails are owed from here on: the audit counts them.
            'reservation_id', $2::uuid, 'retaken', $4::boolean, 'notices', $5::integer,
            'workshop_asked', (SELECT b.confirms_within_minutes IS NOT NULL FROM bookings AS b WHERE b.id = $1)
        ))
    ) AS noted (event, detail)
)
SELECT id FROM made

-- name: session_of_booking
SELECT id FROM sessions WHERE booking_id = $1

-- name: release_reservation
UPDATE slot_reservations SET status = $2 WHERE booking_id = $1 AND status IN ('reserved', 'confirmed')

-- name: cancel_session
UPDATE sessions SET status = 'cancelled' WHERE booking_id = $1 AND status IN ('scheduled', 'pending')

-- name: end_booking
-- A guarded step to an end: no row back means that the booking was somewhere else already. Nobody has to answer any more: a
-- workshop's word that was still waited for is none, and the timeline says in what it was (`unanswered`).
WITH before AS (
    SELECT
        id, CASE WHEN workshop_status IN ('awaiting', 'proposed') THEN workshop_status END AS unanswered
    FROM bookings WHERE id = $1
),
ended AS (
    UPDATE bookings AS b SET
        status = $2, invite_sequence = b.invite_sequence + $4, kept_amount = COALESCE($7::bigint, b.kept_amount),
        workshop_status = CASE WHEN before.unanswered IS NULL THEN b.workshop_status END,
        workshop_answer_by = CASE WHEN before.unanswered IS NULL THEN b.workshop_answer_by END
    FROM before
    WHERE b.id = before.id AND b.status = ANY($3::text[])
    RETURNING b.id, before.unanswered
)
INSERT INTO booking_events (booking_id, at, event, detail)
SELECT id, $5, $2, $6::jsonb || jsonb_strip_nulls(jsonb_build_object('unanswered', unanswered)) FROM ended
RETURNING booking_id

-- name: intent_of_booking
SELECT payment_intent_id FROM payments WHERE booking_id = $1 AND supplement_id IS NULL

-- name: void_payment_record
UPDATE payments SET status = 'canceled', updated_at = $2 WHERE booking_id = $1 AND supplement_id IS NULL AND paid_at IS NULL

-- name: skip_unsent_notices
UPDATE notifications SET status = 'skipped', detail = $2
WHERE booking_id = $1 AND status IN ('pending', 'sending') AND kind = ANY($3::text[])

-- name: owe_notices
INSERT INTO notifications (key, booking_id, kind, status, due_at, detail, channel, move, about)
SELECT owed.key, $1, owed.kind, owed.status, owed.due_at, owed.detail, owed.channel, owed.move, owed.about
FROM unnest($2::text[], $3::text[], $4::text[], $5::timestamptz[], $6::text[], $7::text[], $8::integer[], $9::jsonb[])
AS owed (key, kind, status, due_at, detail, channel, move, about)
ON CONFLICT (key) DO NOTHING

-- name: request_refund
-- The refund is on record before Stripe is asked: what is owed can be seen while Stripe is away, and is not forgotten.
-- All that is left of the money, or the part that is said ($4), newest payment first, of each no more than is left of it. For one
-- cause ($5: the booking's end, which comes once, or a move) it is shared out once.
WITH left_over AS (
    SELECT p.payment_intent_id, p.supplement_id, p.paid_at, p.amount - COALESCE(sum(r.amount), 0)::bigint AS amount
    FROM payments AS p
    LEFT JOIN refunds AS r ON r.payment_intent_id = p.payment_intent_id
    WHERE p.booking_id = $1 AND (p.supplement_id IS NULL OR p.paid_at IS NOT NULL)
    GROUP BY p.payment_intent_id
),
shared AS (
    SELECT
        payment_intent_id, amount,
        sum(amount) OVER (ORDER BY supplement_id IS NULL, paid_at DESC, payment_intent_id) - amount AS of_newer
    FROM left_over
)
INSERT INTO refunds (idempotency_key, booking_id, payment_intent_id, amount, reason, requested_at)
SELECT
    'refund/' || payment_intent_id || '/' || $5::text, $1, payment_intent_id, LEAST(amount, $4::bigint - of_newer)::bigint, $2, $3
FROM shared
WHERE LEAST(amount, $4::bigint - of_newer) > 0 AND NOT EXISTS (
    SELECT FROM refunds AS made WHERE made.booking_id = $1 AND right(made.idempotency_key, length($5::text) + 1) = '/' || $5::text
)
ON CONFLICT (idempotency_key) DO NOTHING

-- name: owed_refunds
-- Those that Stripe has not accepted yet, which are about to be tried.
WITH owed AS (
    UPDATE refunds SET tried_at = clock_timestamp() WHERE booking_id = $1 AND stripe_refund_id IS NULL
    RETURNING idempotency_key, payment_intent_id, amount, reason, requested_at
)
SELECT * FROM owed ORDER BY requested_at, idempotency_key

-- name: record_refund
WITH refunded AS (
    UPDATE refunds SET stripe_refund_id = $2, refunded_at = $3
    WHERE idempotency_key = $1 AND stripe_refund_id IS NULL
    RETURNING booking_id, amount, reason
)
INSERT INTO booking_events (booking_id, at, event, detail)
SELECT booking_id, $3, 'refund_issued', jsonb_build_object('amount', amount, 'reason', reason) FROM refunded

-- name: expire_lapsed_holds
-- The backstop: only rows change their word; a lapsed hold has blocked nothing since it lapsed.
WITH lapsed AS (
    SELECT id FROM slot_reservations WHERE status = 'reserved' AND expires_at <= $1
    ORDER BY expires_at LIMIT $2 FOR UPDATE SKIP LOCKED
)
UPDATE slot_reservations AS r SET status = 'expired' FROM lapsed WHERE r.id = lapsed.id
RETURNING r.id

-- name: forget_requests
-- Requests that never got as far as a hold: whoever made them has no answer, and asks again with the same key.
DELETE FROM bookings WHERE status = 'holding' AND hold_expires_at IS NULL AND created_at < $1 RETURNING id

-- name: forget_wishes
-- Changes that nobody has decided on: whoever asked has been told so, and asks again.
DELETE FROM booking_changes WHERE outcome IS NULL AND asked_at < $1

-- name: forget_budgets
-- A bucket that is full again says nothing. Those in use at this moment are left for the next time.
DELETE FROM rate_limits WHERE key IN (
    SELECT key FROM rate_limits WHERE full_at < clock_timestamp() LIMIT 10000 FOR UPDATE SKIP LOCKED
)

-- name: forget_origins
-- No limit looks further back than a day.
DELETE FROM hold_origins WHERE lapses_at < clock_timestamp() - interval '1 day'

-- name: stranded_bookings
-- Bookings whose next step is overdue: their workflow is late, or has been terminated. Each part has an index of its own.
WITH overdue AS (
    SELECT id FROM bookings WHERE status IN ('holding', 'awaiting_payment') AND hold_expires_at < $1
    UNION
    SELECT id FROM bookings WHERE status IN ('confirmed', 'in_progress') AND ends_at < $3
    UNION
    SELECT id FROM bookings WHERE status = 'pending' AND offers_widen_at < $1
    UNION
    SELECT booking_id FROM refunds WHERE refunded_at IS NULL AND requested_at < $1
    UNION
    SELECT booking_id FROM notifications
    WHERE status IN ('pending', 'sending') AND COALESCE(due_at, created_at) < $1
    UNION
    SELECT booking_id FROM proposals WHERE status = 'open' AND expires_at < $1
    UNION
    SELECT booking_id FROM supplements WHERE status = 'open' AND expires_at < $1
    UNION
    SELECT d.booking_id FROM payments AS d JOIN supplements AS u ON u.id = d.supplement_id
    WHERE d.supplement_id IS NOT NULL AND d.paid_at IS NULL AND d.status <> 'canceled' AND u.closed_at < $1
    UNION
    SELECT id FROM bookings
    WHERE status = 'confirmed' AND workshop_status IN ('awaiting', 'proposed') AND workshop_answer_by < $1
)
SELECT b.id AS booking_id, encode(request_fingerprint, 'hex') AS fingerprint, mechanic_id, customer_id, starts_at, status
FROM bookings AS b
JOIN overdue ON overdue.id = b.id
-- At random: however many are late though their workflow runs, each of the others has its turn.
ORDER BY random()
LIMIT $2

-- name: booking_order
SELECT id AS booking_id, encode(request_fingerprint, 'hex') AS fingerprint, mechanic_id, customer_id, starts_at, status
FROM bookings WHERE id = $1
