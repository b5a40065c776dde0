-- Removing a customer's personal data, by the worker. Ids, times, amounts, currencies and the country (which taxes go by)
-- stay: the books add up to what they did before.

-- name: lock_bookings
-- Only locks: what others did while it was waited for is seen by a statement that begins after it.
SELECT FROM bookings WHERE customer_id = $1 AND erased_at IS NULL ORDER BY id FOR UPDATE

-- name: bookings_to_erase
-- What the customer has. `open`: it has not ended, or money is still owed for it.
SELECT
    b.id,
    b.status NOT IN ('completed', 'expired', 'payment_failed', 'cancelled', 'refunded', 'no_show')
    OR EXISTS (SELECT FROM refunds AS r WHERE r.booking_id = b.id AND r.refunded_at IS NULL) AS open
FROM bookings AS b
WHERE b.customer_id = $1 AND b.erased_at IS NULL
ORDER BY b.id

-- name: erase_bookings
-- The fingerprint is a digest of what was asked for, personal data included: it makes way for one of nothing.
UPDATE bookings SET
    customer_name = '', customer_email = '', customer_phone = NULL, sms_consent = FALSE, city = '', postal_code = '', intake = '{}',
    request_fingerprint = sha256(uuid_send(gen_random_uuid())), erased_at = $2
WHERE id = ANY($1::uuid[])

-- name: erase_sessions
UPDATE sessions SET city = '', postal_code = '', intake = '{}' WHERE booking_id = ANY($1::uuid[])

-- name: erase_events
-- Why a mail was not sent are the words of the mail server, which may quote the address. Why something was changed are those of
-- people; of these entries it is a code.
UPDATE booking_events SET detail = CASE
    WHEN event IN ('refund_issued', 'refunded', 'mechanic_away', 'mechanic_back') THEN detail - 'why'
    ELSE detail - 'why' - 'reason'
END
WHERE booking_id = ANY($1::uuid[]) AND detail ?| ARRAY['why', 'reason']

-- name: erase_reasons
UPDATE booking_changes SET reason = NULL WHERE booking_id = ANY($1::uuid[])

-- name: erase_referrals
-- What a mechanic wrote to the customer.
UPDATE referrals SET note = NULL WHERE booking_id = ANY($1::uuid[])

-- name: erase_notices
-- What was still to be sent has nobody to go to. What a notice told besides may be in the words of people.
UPDATE notifications SET
    status = CASE WHEN status IN ('pending', 'sending') THEN 'skipped' ELSE status END,
    detail = CASE WHEN status = 'skipped' THEN detail END,
    about = '{}'
WHERE booking_id = ANY($1::uuid[])

-- name: erase_webhooks
-- Events that were stored whole, by a release that did so: what the product reads of them is left.
UPDATE webhook_inbox SET payload = json_build_object(
    'id', payload -> 'id', 'type', payload -> 'type',
    'data', json_build_object('object', json_build_object(
        'id', payload #> '{data,object,id}', 'object', payload #> '{data,object,object}',
        'amount', payload #> '{data,object,amount}',
        'amount_received', payload #> '{data,object,amount_received}', 'currency', payload #> '{data,object,currency}',
        'status', payload #> '{data,object,status}',
        'metadata', json_build_object('booking_id', payload #> '{data,object,metadata,booking_id}')
    ))
)
WHERE booking_id = ANY($1::uuid[])

-- name: erase_client_secrets
-- Whoever has one can ask Stripe about the payment.
UPDATE payments SET client_secret = '' WHERE booking_id = ANY($1::uuid[])

-- name: erase_waivers
-- What a waiver was signed with, of all who were erased, once it need not be kept as evidence any longer.
UPDATE waiver_signatures AS w SET signed_name = '', address = '', user_agent = '', salt = NULL, erased_at = $1
FROM bookings AS b
WHERE b.id = w.booking_id AND b.erased_at IS NOT NULL AND w.erased_at IS NULL AND w.keep_until <= $1

-- name: lock_entries
SELECT FROM waitlist_entries WHERE customer_id = $1 AND erased_at IS NULL ORDER BY id FOR UPDATE

-- name: erase_entries
-- Who waits, waits no more: there is nobody to offer anything to.
UPDATE waitlist_entries SET
    customer_name = '', customer_email = '', customer_phone = NULL, sms_consent = FALSE, city = '', postal_code = '',
    intake = '{}', request_fingerprint = sha256(uuid_send(gen_random_uuid())),
    status = CASE status WHEN 'waiting' THEN 'left' ELSE status END, updated_at = $2, erased_at = $2
WHERE customer_id = $1 AND erased_at IS NULL

-- name: note_erasure
INSERT INTO erasures (customer_id, requested_at, requested_by_role, requested_by, bookings)
VALUES ($1, $2, $3, $4, $5)
ON CONFLICT (customer_id) DO UPDATE SET
    requested_at = excluded.requested_at, requested_by_role = excluded.requested_by_role,
    requested_by = excluded.requested_by, bookings = erasures.bookings + excluded.bookings, left_at_stripe = 0,
    completed_at = NULL

-- name: intents_to_forget
SELECT p.payment_intent_id
FROM payments AS p
JOIN bookings AS b ON b.id = p.booking_id
WHERE b.customer_id = $1 AND b.erased_at IS NOT NULL AND p.erased_at IS NULL
ORDER BY p.payment_intent_id

-- name: intent_forgotten
UPDATE payments SET erased_at = $2 WHERE payment_intent_id = $1

-- name: complete_erasure
-- What was asked for since ($4) is not at its end: Stripe is gone over once more.
UPDATE erasures SET completed_at = $2, left_at_stripe = $3 WHERE customer_id = $1 AND requested_at <= $4
