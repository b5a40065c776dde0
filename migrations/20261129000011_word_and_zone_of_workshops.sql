-- migrate:up
SET LOCAL lock_timeout = '5s';
SET LOCAL statement_timeout = '60s';
SET LOCAL ROLE pitstop_owner;

-- Whoever had to answer need not any more.
UPDATE status_transitions SET why = 'moved to where nobody wants to be asked, or the booking has ended'
WHERE subject = 'workshop_word' AND from_status IN ('awaiting', 'proposed') AND to_status = 'none';

-- In person the times of a session are those of its workshop, in mails and so for the audit.
GRANT SELECT (id, timezone) ON workshops TO pitstop_audit;

RESET ROLE;

-- migrate:down
SET LOCAL ROLE pitstop_owner;

REVOKE SELECT (id, timezone) ON workshops FROM pitstop_audit;

UPDATE status_transitions SET why = 'moved to where nobody wants to be asked'
WHERE subject = 'workshop_word' AND from_status IN ('awaiting', 'proposed') AND to_status = 'none';

RESET ROLE;
