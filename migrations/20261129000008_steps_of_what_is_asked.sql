-- migrate:up
SET LOCAL lock_timeout = '5s';
SET LOCAL statement_timeout = '60s';
SET LOCAL ROLE pitstop_owner;

-- What is asked beside a booking goes one way only, too: a workshop's word, other times that are proposed, the difference of a
-- dearer plan, a place in line.
-- squawk-ignore ban-drop-constraint
ALTER TABLE status_transitions DROP CONSTRAINT status_transitions_subject_check;
-- The table has some thirty rows.
-- squawk-ignore constraint-missing-not-valid
ALTER TABLE status_transitions ADD CONSTRAINT status_transitions_subject_check CHECK (
    subject IN ('booking', 'reservation', 'session', 'workshop_word', 'proposal', 'supplement', 'waitlist_entry')
);

INSERT INTO status_transitions (subject, from_status, to_status, why) VALUES
('workshop_word', 'none', 'awaiting', 'paid, or moved to a workshop that wants to be asked'),
('workshop_word', 'none', 'confirmed', 'moved by an operator, to a workshop that wants to be asked'),
('workshop_word', 'awaiting', 'confirmed', 'the workshop takes the customer, or an operator has agreed on the time'),
('workshop_word', 'awaiting', 'proposed', 'the workshop proposes other times'),
('workshop_word', 'awaiting', 'declined', 'the workshop cannot have the customer'),
('workshop_word', 'awaiting', 'lapsed', 'the workshop has not answered in time'),
('workshop_word', 'awaiting', 'none', 'moved to where nobody wants to be asked'),
('workshop_word', 'proposed', 'confirmed', 'the customer takes a time, or an operator has agreed on another'),
('workshop_word', 'proposed', 'awaiting', 'moved or handed over: the workshop is asked again'),
('workshop_word', 'proposed', 'declined', 'the customer wants none of the times, or the workshop cannot have it after all'),
('workshop_word', 'proposed', 'lapsed', 'the customer has not answered in time'),
('workshop_word', 'proposed', 'none', 'moved to where nobody wants to be asked'),
('workshop_word', 'confirmed', 'awaiting', 'moved: the workshop is asked again'),
('workshop_word', 'confirmed', 'none', 'moved to where nobody wants to be asked'),
('proposal', 'open', 'accepted', 'the customer has taken one of the times'),
('proposal', 'open', 'declined', 'the customer wants none of them'),
('proposal', 'open', 'lapsed', 'nobody has answered in time'),
('proposal', 'open', 'replaced', 'other times were proposed'),
('proposal', 'open', 'closed', 'the booking was changed otherwise, or has ended'),
('supplement', 'open', 'applied', 'paid, and the booking is moved'),
('supplement', 'open', 'lapsed', 'nobody paid in time'),
('supplement', 'open', 'replaced', 'something else was chosen'),
('supplement', 'open', 'closed', 'the booking was changed otherwise, or has ended'),
('supplement', 'open', 'withdrawn', 'no payment could be asked for'),
('supplement', 'open', 'lost', 'paid, and the new time was gone'),
('waitlist_entry', 'waiting', 'fulfilled', 'an offer was paid'),
('waitlist_entry', 'waiting', 'lapsed', 'the time it waited for is over'),
('waitlist_entry', 'waiting', 'left', 'its customer has left the line'),
('waitlist_entry', 'waiting', 'closed', 'it let too many offers pass'),
('waitlist_entry', 'lapsed', 'fulfilled', 'an offer that it still had was paid'),
('waitlist_entry', 'left', 'fulfilled', 'an offer that it still had was paid'),
('waitlist_entry', 'closed', 'fulfilled', 'an offer that it still had was paid');

-- Named by the trigger's arguments: the subject, and the column that has its status; `none` where that is null. Whoever makes
-- the step need not be able to read the table of the steps.
CREATE FUNCTION keep_steps_honest() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    before text := COALESCE(to_jsonb(OLD) ->> TG_ARGV[1], 'none');
    after text := COALESCE(to_jsonb(NEW) ->> TG_ARGV[1], 'none');
BEGIN
    IF NOT EXISTS (
        SELECT FROM status_transitions WHERE subject = TG_ARGV[0] AND from_status = before AND to_status = after
    ) THEN
        RAISE EXCEPTION 'a % cannot go from % to %', TG_ARGV[0], before, after
            USING ERRCODE = 'check_violation', CONSTRAINT = 'legal_status_transition';
    END IF;
    RETURN NEW;
END
$$;
REVOKE EXECUTE ON FUNCTION keep_steps_honest() FROM PUBLIC;

CREATE TRIGGER honest_word BEFORE UPDATE OF workshop_status ON bookings
FOR EACH ROW WHEN (NEW.workshop_status IS DISTINCT FROM OLD.workshop_status)
EXECUTE FUNCTION keep_steps_honest('workshop_word', 'workshop_status');
CREATE TRIGGER honest_status BEFORE UPDATE OF status ON proposals
FOR EACH ROW WHEN (NEW.status <> OLD.status) EXECUTE FUNCTION keep_steps_honest('proposal', 'status');
CREATE TRIGGER honest_status BEFORE UPDATE OF status ON supplements
FOR EACH ROW WHEN (NEW.status <> OLD.status) EXECUTE FUNCTION keep_steps_honest('supplement', 'status');
CREATE TRIGGER honest_status BEFORE UPDATE OF status ON waitlist_entries
FOR EACH ROW WHEN (NEW.status <> OLD.status) EXECUTE FUNCTION keep_steps_honest('waitlist_entry', 'status');

RESET ROLE;

-- migrate:down
SET LOCAL ROLE pitstop_owner;

DROP TRIGGER honest_status ON waitlist_entries;
DROP TRIGGER honest_status ON supplements;
DROP TRIGGER honest_status ON proposals;
DROP TRIGGER honest_word ON bookings;
DROP FUNCTION keep_steps_honest;
DELETE FROM status_transitions WHERE subject NOT IN ('booking', 'reservation', 'session');
-- squawk-ignore ban-drop-constraint
ALTER TABLE status_transitions DROP CONSTRAINT status_transitions_subject_check;
-- squawk-ignore constraint-missing-not-valid
ALTER TABLE status_transitions ADD CONSTRAINT status_transitions_subject_check
CHECK (subject IN ('booking', 'reservation', 'session'));

RESET ROLE;
