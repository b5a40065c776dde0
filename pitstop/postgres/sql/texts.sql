-- What Twilio tells the API about text messages, in the role of webhooks: how a message fares, and who wants none.

-- name: become_webhook
SELECT set_config('pitstop.role', 'webhook', TRUE)

-- name: record_delivery
SELECT record_text_delivery($1, $2, $3, $4, $5)

-- name: opt_out
INSERT INTO text_opt_outs (number_digest) VALUES ($1) ON CONFLICT (number_digest) DO NOTHING

-- name: opt_in
DELETE FROM text_opt_outs WHERE number_digest = ANY($1::bytea[])
