-- migrate:up
SET LOCAL lock_timeout = '5s';
SET LOCAL statement_timeout = '60s';
SET LOCAL ROLE pitstop_owner;

-- squawk-ignore ban-drop-constraint
ALTER TABLE notifications DROP CONSTRAINT notifications_kind_check;
-- squawk-ignore constraint-missing-not-valid
ALTER TABLE notifications ADD CONSTRAINT notifications_kind_check CHECK (kind IN (
    'confirmation', 'reminder', 'cancellation', 'refund', 'rescheduled', 'proposal', 'handed_over', 'at_risk',
    'waiver_request', 'not_taken', 'taken', 'no_show', 'waitlist_offer', 'workshop_request', 'workshop_proposal',
    'workshop_declined', 'workshop_asked', 'referral', 'difference_returned', 'difference_unpaid'
));
RESET ROLE;

-- migrate:down
SET LOCAL ROLE pitstop_owner;

ALTER TABLE notifications NO FORCE ROW LEVEL SECURITY;
DELETE FROM notifications WHERE kind = 'difference_unpaid';
ALTER TABLE notifications FORCE ROW LEVEL SECURITY;
-- squawk-ignore ban-drop-constraint
ALTER TABLE notifications DROP CONSTRAINT notifications_kind_check;
-- squawk-ignore constraint-missing-not-valid
ALTER TABLE notifications ADD CONSTRAINT notifications_kind_check CHECK (kind IN (
    'confirmation', 'reminder', 'cancellation', 'refund', 'rescheduled', 'proposal', 'handed_over', 'at_risk',
    'waiver_request', 'not_taken', 'taken', 'no_show', 'waitlist_offer', 'workshop_request', 'workshop_proposal',
    'workshop_declined', 'workshop_asked', 'referral', 'difference_returned'
));
RESET ROLE;
