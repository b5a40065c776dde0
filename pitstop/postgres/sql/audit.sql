-- The audit's side, as the role pitstop_audit: it reads all bookings, in one snapshot, and writes its own books only.

-- name: moment
SELECT transaction_timestamp()

-- name: every_booking
-- In the order of their making, as Stripe lists its PaymentIntents: a page of the one goes with a span of the other.
SELECT id, created_at FROM bookings ORDER BY created_at, id

-- name: changed_bookings
-- What has changed since, all that is open, what owes something, and what the last pass has found. Each part has an index.
SELECT id FROM bookings WHERE updated_at >= $1
UNION
SELECT id FROM bookings WHERE status IN ('holding', 'awaiting_payment')
UNION
SELECT id FROM bookings WHERE status IN ('confirmed', 'in_progress')
UNION
SELECT id FROM bookings WHERE status = 'pending'
UNION
SELECT booking_id FROM slot_reservations WHERE status = 'reserved'
UNION
SELECT booking_id FROM supplements WHERE status = 'open' OR closed_at >= $1
UNION
SELECT booking_id FROM payments WHERE supplement_id IS NOT NULL AND paid_at IS NULL AND status <> 'canceled'
UNION
SELECT booking_id FROM refunds WHERE refunded_at IS NULL
UNION
SELECT booking_id FROM notifications WHERE status IN ('pending', 'sending')
UNION
SELECT booking_id FROM webhook_inbox WHERE applied_at IS NULL AND booking_id IS NOT NULL
UNION
SELECT booking_id FROM booking_changes WHERE outcome IS NULL
UNION
SELECT booking_id FROM booking_flags WHERE is_news OR resolved_at IS NULL
UNION
SELECT booking_id FROM proposals WHERE status = 'open'
UNION
SELECT booking_id FROM waiver_signatures WHERE accepted_at >= $1
UNION
SELECT booking_id FROM audit_findings
WHERE booking_id IS NOT NULL AND run_id = (SELECT id FROM audit_runs ORDER BY seen_at DESC LIMIT 1)

-- name: facts
-- Everything about these bookings, one row each.
SELECT
    b.id, b.status, b.version, b.mechanic_id, b.starts_at, b.ends_at, b.buffer_before_minutes, b.buffer_after_minutes,
    b.amount, b.currency, b.hold_expires_at, b.invite_sequence, b.created_at, b.updated_at,
    b.policy, b.moves, b.customer_moves, b.kept_amount,
    EXISTS (SELECT FROM services AS s WHERE s.id = b.service_id AND s.kind = 'in_person') AS in_person,
    COALESCE(site.timezone, m.timezone) AS venue_timezone,
    b.starts_at AT TIME ZONE COALESCE(site.timezone, m.timezone) AS local_start,
    COALESCE((
        SELECT jsonb_agg(jsonb_build_object(
            'id', r.id, 'mechanic_id', r.mechanic_id, 'bay_id', r.bay_id, 'status', r.status, 'starts_at', r.starts_at, 'ends_at', r.ends_at,
            'blocked_from', lower(r.blocked), 'blocked_until', upper(r.blocked), 'expires_at', r.expires_at
        ) ORDER BY r.created_at)
        FROM slot_reservations AS r WHERE r.booking_id = b.id AND r.proposal_id IS NULL AND r.supplement_id IS NULL
    ), '[]') AS reservations,
    b.workshop_status, b.workshop_answer_by,
    -- What is held for proposed times, and whether they are still proposed.
    COALESCE((
        SELECT jsonb_agg(jsonb_build_object('id', r.id, 'expires_at', r.expires_at, 'proposed', o.status = 'open') ORDER BY r.id)
        FROM slot_reservations AS r
        JOIN proposals AS o ON o.id = r.proposal_id
        WHERE r.booking_id = b.id AND r.status IN ('reserved', 'confirmed')
    ), '[]') AS options_held,
    COALESCE((
        SELECT jsonb_agg(n.id ORDER BY n.id) FROM bookings AS n
        WHERE n.referral_id = b.referral_id AND n.id <> b.id
            AND b.status NOT IN ('expired', 'payment_failed', 'cancelled', 'refunded')
            AND n.status NOT IN ('expired', 'payment_failed', 'cancelled', 'refunded')
    ), '[]') AS same_referral,
    COALESCE((
        SELECT jsonb_agg(jsonb_build_object(
            'status', s.status, 'price_paid', s.price_paid, 'currency', s.currency, 'scheduled_for', s.scheduled_for,
            'scheduled_for_original', s.scheduled_for_original, 'mechanic_id', s.mechanic_id, 'started_at', s.started_at,
            'ended_at', s.ended_at, 'absent', s.absent
        ))
        FROM sessions AS s WHERE s.booking_id = b.id
    ), '[]') AS sessions,
    COALESCE((
        SELECT jsonb_agg(jsonb_build_object(
            'payment_intent_id', p.payment_intent_id, 'amount', p.amount, 'currency', p.currency, 'status', p.status,
            'paid_at', p.paid_at, 'supplement_id', p.supplement_id
        -- The booking's own first.
        ) ORDER BY p.supplement_id IS NOT NULL, p.payment_intent_id)
        FROM payments AS p WHERE p.booking_id = b.id
    ), '[]') AS payments,
    COALESCE((
        SELECT jsonb_agg(jsonb_build_object(
            'id', u.id, 'status', u.status, 'amount', u.amount, 'currency', u.currency, 'asked_at', u.asked_at,
            'expires_at', u.expires_at,
            'lapses_at', u.lapses_at, 'closed_at', u.closed_at, 'held_until', (
                SELECT max(r.expires_at) FROM slot_reservations AS r
                WHERE r.supplement_id = u.id AND r.status IN ('reserved', 'confirmed')
            )
        ) ORDER BY u.asked_at, u.id)
        FROM supplements AS u WHERE u.booking_id = b.id
    ), '[]') AS supplements,
    COALESCE((
        SELECT jsonb_agg(jsonb_build_object(
            'idempotency_key', f.idempotency_key, 'payment_intent_id', f.payment_intent_id, 'amount', f.amount,
            'stripe_refund_id', f.stripe_refund_id, 'requested_at', f.requested_at, 'refunded_at', f.refunded_at
        ) ORDER BY f.requested_at, f.idempotency_key)
        FROM refunds AS f WHERE f.booking_id = b.id
    ), '[]') AS refunds,
    COALESCE((
        SELECT jsonb_agg(jsonb_build_object(
            'key', n.key, 'kind', n.kind, 'status', n.status, 'due_at', n.due_at, 'attempts', n.attempts,
            'sent_at', n.sent_at, 'created_at', n.created_at, 'channel', n.channel, 'move', n.move
        ) ORDER BY n.key)
        FROM notifications AS n WHERE n.booking_id = b.id
    ), '[]') AS notices,
    COALESCE((
        SELECT jsonb_agg(jsonb_build_object(
            'event', e.event, 'at', e.at, 'key', e.detail -> 'key', 'notices', e.detail -> 'notices', 'by', e.detail -> 'by',
            'start_before', CASE e.event WHEN 'rescheduled' THEN e.detail -> 'from' END, 'percent', e.detail -> 'percent',
            'absent', e.detail -> 'absent', 'resold', e.event = 'rescheduled' AND e.detail ? 'to_plan_id',
            'policy_before', e.detail -> 'policy_before', 'unanswered', e.detail -> 'unanswered',
            'asks_workshop', e.event = 'handed_over' AND e.detail ? 'workshop_asked'
        ) ORDER BY e.id)
        FROM booking_events AS e WHERE e.booking_id = b.id
    ), '[]') AS trail,
    COALESCE((
        SELECT jsonb_agg(jsonb_build_object(
            'id', c.id, 'kind', c.kind, 'asked_at', c.asked_at, 'outcome', c.outcome, 'unchanged', c.detail ?| ARRAY['unchanged', 'supplement']
        ) ORDER BY c.asked_at, c.id)
        FROM booking_changes AS c WHERE c.booking_id = b.id
    ), '[]') AS changes,
    (SELECT COALESCE(jsonb_agg(i.party ORDER BY i.party), '[]') FROM check_ins AS i WHERE i.booking_id = b.id) AS came,
    -- Who has come to a time, or as a mechanic, that the booking has left since.
    (
        SELECT COALESCE(jsonb_agg(i.party ORDER BY i.party), '[]') FROM check_ins AS i
        WHERE i.booking_id = b.id AND EXISTS (
            SELECT FROM booking_events AS e WHERE e.booking_id = b.id AND e.at > i.at AND (
                (e.event = 'rescheduled' AND e.detail ->> 'from' <> e.detail ->> 'to')
                OR (i.party = 'mechanic' AND e.event IN ('rescheduled', 'handed_over') AND e.detail ? 'to_mechanic_id')
            )
        )
    ) AS came_elsewhere,
    COALESCE((
        SELECT jsonb_agg(jsonb_build_object(
            'event_id', w.event_id, 'type', w.type, 'received_at', w.received_at, 'applied_at', w.applied_at
        ))
        FROM webhook_inbox AS w WHERE w.booking_id = b.id
    ), '[]') AS inbox,
    COALESCE((
        SELECT jsonb_agg(jsonb_build_object('id', f.id, 'since', f.since, 'is_news', f.is_news, 'is_open', f.resolved_at IS NULL))
        FROM booking_flags AS f WHERE f.booking_id = b.id
    ), '[]') AS flags,
    (SELECT o.expires_at FROM proposals AS o WHERE o.booking_id = b.id AND o.status = 'open') AS proposed_until,
    b.duration_minutes IS NOT NULL AS immediate, b.offers_end_at,
    COALESCE((
        SELECT jsonb_agg(jsonb_build_object('mechanic_id', o.mechanic_id, 'outcome', o.outcome) ORDER BY o.mechanic_id)
        FROM session_offers AS o WHERE o.booking_id = b.id
    ), '[]') AS offers,
    needs_waiver(COALESCE(
        (SELECT s.kind FROM sessions AS s WHERE s.booking_id = b.id), (SELECT v.kind FROM services AS v WHERE v.id = b.service_id)
    )) IS TRUE AS needs_waiver,
    COALESCE((
        SELECT jsonb_agg(jsonb_build_object(
            'id', w.id, 'version', w.version, 'language', w.language,
            'fits', COALESCE(w.sha256 = d.sha256 AND d.sha256 = sha256(convert_to(d.body, 'UTF8')), FALSE)
        ) ORDER BY w.accepted_at, w.id)
        FROM waiver_signatures AS w
        LEFT JOIN waiver_documents AS d ON d.version = w.version AND d.language = w.language
        WHERE w.booking_id = b.id
    ), '[]') AS waivers
FROM bookings AS b
LEFT JOIN mechanics AS m ON m.id = b.mechanic_id
LEFT JOIN workshops AS site ON site.id = b.workshop_id
WHERE b.id = ANY($1::uuid[])

-- name: not_open
-- Of these, those that have ended or are not known.
SELECT wanted.id
FROM unnest($1::uuid[]) AS wanted (id)
LEFT JOIN bookings AS b ON b.id = wanted.id
WHERE b.id IS NULL OR b.status NOT IN ('holding', 'awaiting_payment', 'pending', 'confirmed', 'in_progress')

-- name: overlaps
-- By what the rows block, whether or not the constraints stand. A pair is told by the smaller id. Not materialized: a page of
-- bookings is held against those that are near it, not against all that there are.
WITH live AS NOT MATERIALIZED (
    SELECT * FROM slot_reservations
    WHERE status IN ('reserved', 'confirmed') AND (status = 'confirmed' OR expires_at > transaction_timestamp())
)
SELECT
    LEAST(a.booking_id, o.booking_id) AS booking_id, GREATEST(a.booking_id, o.booking_id) AS other_booking_id,
    a.mechanic_id, NULL::uuid AS bay_id
FROM live AS a
JOIN live AS o ON o.mechanic_id = a.mechanic_id AND o.blocked && a.blocked AND o.booking_id <> a.booking_id
WHERE a.booking_id = ANY($1::uuid[])
UNION
SELECT LEAST(a.booking_id, o.booking_id), GREATEST(a.booking_id, o.booking_id), NULL, a.bay_id
FROM live AS a
JOIN live AS o ON o.bay_id = a.bay_id AND o.blocked && a.blocked AND o.booking_id <> a.booking_id
WHERE a.booking_id = ANY($1::uuid[])

-- name: guards_missing
-- The guards that the migrations put up, as the catalogue of the database has them now.
WITH tables AS (
    SELECT c.oid, c.relname, c.relrowsecurity AND c.relforcerowsecurity AS guarded
    FROM pg_class AS c WHERE c.relnamespace = 'public'::regnamespace AND c.relkind = 'r'
),
guarded AS (
    SELECT relname FROM tables WHERE EXISTS (SELECT FROM pg_policy AS p WHERE p.polrelid = tables.oid)
    UNION
    SELECT unnest(ARRAY[
        'time_off', 'bookings', 'booking_events', 'sessions', 'slot_reservations', 'payments', 'refunds', 'webhook_inbox',
        'notifications', 'audit_runs', 'audit_findings', 'rate_limits', 'hold_origins', 'audit_log', 'audit_seals', 'erasures',
        'workshops', 'bays', 'referrals', 'booking_changes', 'check_ins', 'booking_policies', 'calendar_feeds', 'waiver_documents', 'waiver_signatures',
        'booking_flags', 'proposals', 'text_opt_outs', 'session_offers', 'waitlist_entries', 'freed_slots', 'supplements'
    ])
)
SELECT 'constraint one_booking_at_a_time on slot_reservations' AS guard
WHERE NOT EXISTS (
    SELECT FROM pg_constraint AS c JOIN tables AS t ON t.oid = c.conrelid
    WHERE t.relname = 'slot_reservations' AND c.conname = 'one_booking_at_a_time' AND c.contype = 'x' AND c.convalidated
)
UNION ALL
SELECT 'constraint one_booking_in_a_bay on slot_reservations'
WHERE NOT EXISTS (
    SELECT FROM pg_constraint AS c JOIN tables AS t ON t.oid = c.conrelid
    WHERE t.relname = 'slot_reservations' AND c.conname = 'one_booking_in_a_bay' AND c.contype = 'x' AND c.convalidated
)
UNION ALL
SELECT 'unique index ' || wanted.name
FROM unnest(ARRAY[
    'one_live_reservation_of_a_booking', 'one_booking_of_a_referral', 'one_open_offer_of_an_entry', 'one_payment_of_a_booking',
    'one_open_supplement_of_a_booking', 'one_payment_of_a_supplement', 'one_live_hold_of_a_supplement'
]) AS wanted (name)
WHERE NOT EXISTS (
    SELECT FROM pg_index AS i JOIN pg_class AS c ON c.oid = i.indexrelid
    WHERE c.relname = wanted.name AND i.indisunique AND i.indisvalid
)
UNION ALL
SELECT 'row-level security, forced, on ' || guarded.relname
FROM guarded LEFT JOIN tables ON tables.relname = guarded.relname
WHERE tables.guarded IS NOT TRUE
UNION ALL
SELECT 'trigger ' || wanted.name || ' on ' || wanted.on_table
FROM (
    VALUES ('bookings', 'honest_status'), ('bookings', 'version_rises'), ('sessions', 'honest_status'),
    ('slot_reservations', 'honest_status'), ('mechanics', 'known_timezone'), ('bookings', 'hold_ends'),
        ('bookings', 'offers_close'), ('bookings', 'offer_is_over'), ('slot_reservations', 'slot_comes_free'), ('slot_reservations', 'slot_is_given_back'),
        ('audit_log', 'append_only'), ('audit_seals', 'append_only'), ('waiver_documents', 'append_only'),
        ('waiver_signatures', 'append_only'), ('waiver_signatures', 'never_removed'), ('referrals', 'told'),
        ('bookings', 'honest_word'), ('proposals', 'honest_status'), ('supplements', 'honest_status'),
        ('waitlist_entries', 'honest_status')
) AS wanted (on_table, name)
WHERE NOT EXISTS (
    SELECT FROM pg_trigger AS g JOIN tables AS t ON t.oid = g.tgrelid
    WHERE t.relname = wanted.on_table AND g.tgname = wanted.name AND g.tgenabled IN ('O', 'A')
)
UNION ALL
SELECT 'an end that nothing follows: ' || subject || ' ' || from_status || ' to ' || to_status
FROM status_transitions
WHERE (subject, from_status) IN (
    ('booking', 'completed'), ('booking', 'expired'), ('booking', 'payment_failed'), ('booking', 'cancelled'),
    ('booking', 'refunded'), ('booking', 'no_show'), ('reservation', 'expired'), ('reservation', 'cancelled'),
    ('session', 'completed'), ('session', 'cancelled'), ('session', 'no_show')
)
UNION ALL
SELECT 'the limits of role ' || rolname
FROM pg_roles
WHERE rolname IN ('pitstop_owner', 'pitstop_worker', 'pitstop_api', 'pitstop_audit')
    AND (rolsuper OR rolbypassrls OR rolcreaterole OR rolcreatedb)

-- name: waitlist_unsound
-- What the waitlist has left undone, or done twice. $1: how long what has come free may wait for a look.
SELECT 'two_offers' AS code, o.id AS booking_id, o.waitlist_entry_id::text AS subject, 'entry ' || o.waitlist_entry_id AS found
FROM bookings AS o
WHERE o.status IN ('holding', 'awaiting_payment') AND EXISTS (
    SELECT FROM bookings AS other
    WHERE other.waitlist_entry_id = o.waitlist_entry_id AND other.id < o.id AND other.status IN ('holding', 'awaiting_payment')
)
UNION ALL
SELECT 'offer_not_settled', o.id, o.waitlist_entry_id::text, 'the booking is ' || o.status || ', the entry is ' || e.status
FROM bookings AS o
JOIN waitlist_entries AS e ON e.id = o.waitlist_entry_id
WHERE o.status IN ('pending', 'confirmed', 'in_progress', 'completed') AND e.status = 'waiting'
UNION ALL
SELECT
    'freed_slot_forgotten', NULL, f.id::text,
    'mechanic ' || f.mechanic_id || ', free since ' || to_char(f.freed_at AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS') || ' UTC'
FROM freed_slots AS f
WHERE f.freed_at < transaction_timestamp() - $1::interval
UNION ALL
SELECT
    'entry_outlived', NULL, e.id::text,
    'waits for what was over at ' || to_char(upper(e.span) AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI') || ' UTC'
FROM waitlist_entries AS e
WHERE e.status = 'waiting' AND upper(e.span) < transaction_timestamp() - $1::interval

-- name: standing
-- A booking as the engine has to know it to run its workflow.
SELECT id AS booking_id, encode(request_fingerprint, 'hex') AS fingerprint, mechanic_id, customer_id, starts_at, status
FROM bookings WHERE id = $1

-- name: last_seen
SELECT max(seen_at) FROM audit_runs

-- name: keep_run
INSERT INTO audit_runs (seen_at, since, seconds, checked, clean) VALUES ($1, $2, $3, $4, $5) RETURNING id

-- name: keep_finding
INSERT INTO audit_findings (run_id, position, code, invariant, booking_id, subject, found, to_do, repairable)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)

-- name: forget_runs
DELETE FROM audit_runs WHERE seen_at < $1
