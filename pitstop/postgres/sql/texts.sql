-- What Twilio tells the API about text messages, in the role of webhooks: how a message fares, and who wants none.

-- name: become_webhook
SELECT set_config('pitstop.role', 'webhook', TRUE)

-- name: record_delivery
-- Of this sending of the notice only, and never backwards: what is told late or twice changes nothing.
UPDATE notifications
SET message_sid = $3, delivery_status = $4, delivery_code = $5, delivery_at = clock_timestamp()
WHERE key = $1 AND channel = 'sms' AND sending = $2 AND COALESCE(message_sid, $3) = $3
    AND delivery_rank($4) > COALESCE(delivery_rank(delivery_status), 0)
RETURNING key

-- name: opt_out
INSERT INTO text_opt_outs (number_digest) VALUES ($1) ON CONFLICT (number_digest) DO NOTHING

-- name: opt_in
DELETE FROM text_opt_outs WHERE number_digest = ANY($1::bytea[])
