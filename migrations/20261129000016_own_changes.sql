-- migrate:up
SET LOCAL lock_timeout = '5s';
SET LOCAL statement_timeout = '60s';
SET LOCAL ROLE pitstop_owner;

-- Who has asked may see what became of that, and take it back, also when the booking has gone to somebody else meanwhile.
CREATE POLICY ones_own ON booking_changes FOR SELECT TO pitstop_api USING (
    asked_by_role = (SELECT caller_role()) AND asked_by = (SELECT caller())
);

RESET ROLE;

-- migrate:down
SET LOCAL lock_timeout = '5s';
SET LOCAL statement_timeout = '60s';
SET LOCAL ROLE pitstop_owner;

DROP POLICY ones_own ON booking_changes;

RESET ROLE;
