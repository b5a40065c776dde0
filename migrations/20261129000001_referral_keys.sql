-- migrate:up
SET LOCAL lock_timeout = '5s';
SET LOCAL statement_timeout = '60s';
SET LOCAL ROLE pitstop_owner;

-- What was asked for, by which a repeated request is told from another one with the same key. Null: it came without a key.
ALTER TABLE referrals ADD COLUMN request_fingerprint bytea;
GRANT INSERT (request_fingerprint) ON referrals TO pitstop_api;

RESET ROLE;

-- migrate:down
SET LOCAL ROLE pitstop_owner;

ALTER TABLE referrals DROP COLUMN request_fingerprint;

RESET ROLE;
