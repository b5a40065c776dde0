-- migrate:up
SET LOCAL lock_timeout = '5s';
SET LOCAL statement_timeout = '60s';
SET LOCAL ROLE pitstop_owner;

-- In person the times of a session are those of its workshop, in mails and so for the audit.
GRANT SELECT (id, timezone) ON workshops TO pitstop_audit;

RESET ROLE;

-- migrate:down
SET LOCAL ROLE pitstop_owner;
REVOKE SELECT (id, timezone) ON workshops FROM pitstop_audit;
RESET ROLE;
