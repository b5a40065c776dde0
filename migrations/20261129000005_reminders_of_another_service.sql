-- migrate:up
SET LOCAL lock_timeout = '5s';
SET LOCAL statement_timeout = '60s';
SET LOCAL ROLE pitstop_owner;

-- A booking that moves to another service has the reminders of that one.
GRANT UPDATE (reminder_offsets) ON bookings TO pitstop_worker;

RESET ROLE;

-- migrate:down
SET LOCAL ROLE pitstop_owner;

REVOKE UPDATE (reminder_offsets) ON bookings FROM pitstop_worker;

RESET ROLE;
