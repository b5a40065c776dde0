-- migrate:up
SET LOCAL lock_timeout = '5s';
SET LOCAL statement_timeout = '60s';
SET LOCAL ROLE pitstop_owner;

-- When it was known that the booking's run knows of the decision: its answer has come, or it was told anew. Until then the engine
-- may have lost it, between the transaction that decided and the end of the run's task.
ALTER TABLE booking_changes ADD COLUMN heard_at timestamptz;
UPDATE booking_changes SET heard_at = decided_at WHERE outcome IS NOT NULL;
-- Not CONCURRENTLY: a table that no release has yet.
-- squawk-ignore require-concurrent-index-creation
CREATE INDEX changes_unheard ON booking_changes (decided_at) WHERE outcome IS NOT NULL AND heard_at IS NULL;

CREATE POLICY hear_of_own ON booking_changes FOR UPDATE TO pitstop_api
USING (asked_by_role = (SELECT caller_role()) AND asked_by = (SELECT caller()))
WITH CHECK (asked_by_role = (SELECT caller_role()) AND asked_by = (SELECT caller()));
GRANT UPDATE (heard_at) ON booking_changes TO pitstop_api, pitstop_worker;

RESET ROLE;

-- migrate:down
SET LOCAL lock_timeout = '5s';
SET LOCAL statement_timeout = '60s';
SET LOCAL ROLE pitstop_owner;

DROP POLICY hear_of_own ON booking_changes;
-- squawk-ignore ban-drop-column
ALTER TABLE booking_changes DROP COLUMN heard_at;

RESET ROLE;
