"""The kinds, in the order of the operators' table."""

from pitstop.domain.audit.findings import Kind, Remedy

# Slot and mechanic

OVERLAP = Kind(
    "overlap",
    "I1",
    "two live reservations of a mechanic, or of a workshop's bay, block the same time",
    "Call one of the two bookings off; see also `guard_missing`.",
)
RESERVATION_DIFFERS = Kind(
    "reservation_differs",
    "I1",
    "a live reservation blocks another time, or another mechanic's, than its booking with its buffers needs",
    "Compare the booking's timeline with the mechanic's agenda, then call the booking off or correct the row.",
)
NO_SLOT = Kind(
    "no_slot",
    "I2",
    "a booking stands and has no reservation of the mechanic's time, or only a hold",
    "Ask the mechanic to keep the time free, or call the booking off.",
)
NO_BAY = Kind(
    "no_bay",
    "I1",
    "an in-person booking holds its mechanic's time and no bay of the workshop",
    "Have a bay that is free then set in the reservation's row, or call the booking off.",
)
ZONE_DATA_DIFFERS = Kind(
    "zone_data_differs",
    "I6",
    "database and Python know different local times of a booking's start where the mechanic is: their zone data differ",
    "Bring PostgreSQL's zone data and the package `tzdata` to one release; tell customers of in-person sessions.",
)
NO_SESSION = Kind(
    "no_session",
    "I2",
    "a booking stands and its session is missing, or is in another state",
    "Call the booking off, which refunds it, or have the row corrected.",
)
SLOT_NOT_RELEASED = Kind(
    "slot_not_released",
    "I3",
    "a booking has ended and still blocks the mechanic's time",
    "Have the reservation's row set to `cancelled`; then look for who ended the booking without the workflow.",
)
SESSION_NOT_CLOSED = Kind(
    "session_not_closed",
    "I3",
    "a booking has ended and its session is still open",
    "Have the session's row brought to the booking's end.",
)
HOLD_OUTLIVED = Kind(
    "hold_outlived",
    "I3",
    "a hold has run out long ago and is still marked as `reserved`; it blocks nothing",
    "`--repair` starts the sweep. If it comes back, the sweep does not run: look at its schedule.",
    Remedy.SWEEP,
)

FLAG_NOT_LOWERED = Kind(
    "flag_not_lowered",
    "I3",
    "a booking has ended and is still flagged, as if its mechanic were missing",
    "`--repair` starts the sweep, which lowers it. If it stays, the sweep does not run: look at its schedule.",
    Remedy.SWEEP,
)
FLAG_NOT_TOLD = Kind(
    "flag_not_told",
    "I5",
    "a booking is flagged for long, and its run has not taken notice: its customer does not know",
    "`--repair` starts the sweep, which tells the run. If it stays, see whether workers poll the run's task queue.",
    Remedy.SWEEP,
)
PROPOSAL_OUTLIVED = Kind(
    "proposal_outlived",
    "I3",
    "times are still proposed for a booking that has ended, or longer than the customer was given to answer",
    "`--repair` starts a run that is gone. Of an ended booking, have the row set to `closed`.",
    Remedy.REVIVE,
)

# Money

PAID_NOT_BOOKED = Kind(
    "paid_not_booked",
    "I2",
    "Stripe has the customer's money, no booking stands for it, and no refund is owed",
    "`--repair` tells the workflow of the payment: it confirms, or refunds. If it cannot, refund at Stripe.",
    Remedy.SIGNAL,
)
WEBHOOK_LOST = Kind(
    "webhook_lost",
    "I5",
    "Stripe has the payment, and no event about it has come; the booking still waits",
    "`--repair` tells the workflow. Then look at the webhook endpoint in Stripe's dashboard.",
    Remedy.SIGNAL,
)
BOOKED_NOT_PAID = Kind(
    "booked_not_paid",
    "I2",
    "a booking stands that Stripe has no payment for, or that has none on record",
    "Compare with Stripe's dashboard; ask the customer to pay, or call the booking off.",
)
REFUNDED_BUT_STANDING = Kind(
    "refunded_but_standing",
    "I2",
    "a booking stands though all of its money went back",
    "Somebody has refunded in Stripe's dashboard: call the booking off, or agree with the customer on a new payment.",
)
AMOUNT_DIFFERS = Kind(
    "amount_differs",
    "I9",
    "booking, payment, session and Stripe do not name the same amount or currency",
    "Compare with the plan and the timeline; refund in Stripe's dashboard what the customer paid too much.",
)
SECOND_PAYMENT = Kind(
    "second_payment",
    "I4",
    "the booking has money, or a payment under way, at a PaymentIntent other than the one on record",
    "Refund the one that is not on record in Stripe's dashboard.",
)
PAYMENT_OF_UNKNOWN_BOOKING = Kind(
    "payment_of_unknown_booking",
    "I5",
    "Stripe has money, or a payment under way, for a booking that the database does not have",
    "Refund or cancel it in Stripe's dashboard; ask how the booking's row was lost.",
)
PAYABLE_AFTER_END = Kind(
    "payable_after_end",
    "I2",
    "a booking has ended and its PaymentIntent can still be paid",
    "Cancel the PaymentIntent in Stripe's dashboard.",
)
PAYMENT_STALE = Kind(
    "payment_stale",
    "I2",
    "the payment on record is in another state than Stripe says",
    "Stripe is right. Have the row corrected.",
)
PAYMENT_UNSETTLED = Kind(
    "payment_unsettled",
    "I3",
    "the time to pay is over for long, and the booking is neither confirmed nor ended",
    "See whether workers poll the run's task queue, and its pending activity `cancel_payment`, which names the error. "
    "`--repair` starts a run that is gone.",
    Remedy.REVIVE,
)
REFUND_OVERDUE = Kind(
    "refund_overdue",
    "I2",
    "money is owed to a customer and Stripe has not accepted the refund for long",
    "Look at the run's pending activity `refund_payment`. `--repair` starts a run that is gone.",
    Remedy.REVIVE,
)
REFUND_UNRECORDED = Kind(
    "refund_unrecorded",
    "I4",
    "Stripe has refunded something that is not on record here",
    "Somebody has refunded in Stripe's dashboard: note it at the booking. `--repair` goes on where the refund is owed.",
    Remedy.REVIVE,
)
REFUNDED_TWICE = Kind(
    "refunded_twice",
    "I4",
    "Stripe has more refunds of a payment than were asked for",
    "Ask the customer about the second one; find out who made it.",
)
REFUND_DIFFERS = Kind(
    "refund_differs",
    "I4",
    "a refund on record has another amount at Stripe, or does not exist there",
    "Compare with Stripe's dashboard, and refund what is missing.",
)
REFUND_FAILED = Kind(
    "refund_failed",
    "I2",
    "Stripe accepted a refund and could not carry it out: the customer does not have the money",
    "Stripe's dashboard says why. Pay the customer by other means.",
)
KEPT_DIFFERS = Kind(
    "kept_differs",
    "I2",
    "what was to stay of an ended booking's money, and what goes back of it, are not what was paid",
    "Compare the timeline with the refunds; refund what is missing in Stripe's dashboard, or correct the row.",
)
REFUND_NOT_BY_POLICY = Kind(
    "refund_not_by_policy",
    "I9",
    "another part of the price goes back than the policy that was agreed gives, for who ended or moved it and when",
    "Refund what is missing in Stripe's dashboard. What went back too much stays with the customer; find out why.",
)

REFUND_EXCEEDS = Kind(
    "refund_exceeds",
    "I2",
    "more is to go back of one payment than was paid by it: Stripe refuses that, and the customer waits",
    "Have the refund's row shared out over the booking's payments, newest first.",
)

# What a dearer plan costs more

SUPPLEMENT_OVERDUE = Kind(
    "supplement_overdue",
    "I3",
    "the time to pay the difference of a dearer plan is over for long, and it has neither lapsed nor moved the booking",
    "Look at the run's pending activity `void_supplement`: it names the error. `--repair` starts a run that is gone.",
    Remedy.REVIVE,
)
SUPPLEMENT_NOT_VOIDED = Kind(
    "supplement_not_voided",
    "I2",
    "a difference that nobody is to pay any more can still be paid at Stripe",
    "Look at the run's pending activity `void_supplement`. `--repair` starts a run that is gone.",
    Remedy.REVIVE,
)
SUPPLEMENT_ASTRAY = Kind(
    "supplement_astray",
    "I2",
    "the difference of a dearer plan was paid, and it has neither moved the booking nor goes back",
    "`--repair` tells the workflow of the payment: it moves the booking, or refunds. If it cannot, refund at Stripe.",
    Remedy.SIGNAL,
)
SUPPLEMENT_NOT_PAID = Kind(
    "supplement_not_paid",
    "I2",
    "a booking was moved to a dearer plan, and Stripe, or the record, has no payment of the difference",
    "Compare with Stripe's dashboard; ask the customer to pay, or have the booking moved back.",
)
SUPPLEMENT_SLOT_DIFFERS = Kind(
    "supplement_slot_differs",
    "I3",
    "a time is held for a difference that is not to be paid any more, or one that may be paid holds no time",
    "Of one that is over, set the reservation to `cancelled`. Otherwise nothing: what is paid in vain goes back.",
)

# The course of a booking: moves, changes, the session

MOVES_DISAGREE = Kind(
    "moves_disagree",
    "I7",
    "a booking counts its moves otherwise than its timeline, or the changes that were asked for",
    "The timeline is what happened. Have `moves` corrected: reminders and the limit of the policy go by it.",
)
SESSION_TIME_DIFFERS = Kind(
    "session_time_differs",
    "I2",
    "a session has another time or mechanic than its booking, or forgets the time that was first booked",
    "Compare with the timeline and have the session's row corrected; tell the customer if they came to the other time.",
)
SESSION_UNDATED = Kind(
    "session_undated",
    "I5",
    "a session was started or ended and does not say when, or nobody came to it",
    "The timeline says when. Have the session's row corrected.",
)
ABSENCE_DIFFERS = Kind(
    "absence_differs",
    "I2",
    "session and booking do not agree on whether somebody did not come, or who",
    "The timeline says who was reported absent, and the money went by that. Have the session's row corrected.",
)
CHECK_IN_OUTDATED = Kind(
    "check_in_outdated",
    "I2",
    "somebody counts as having come to a time, or as a mechanic, that the booking has left since",
    "Delete the row of `check_ins`: by it is judged who was absent. If the booking has ended, see who has paid.",
)
CHANGE_UNDECIDED = Kind(
    "change_undecided",
    "I5",
    "a change was asked for long ago and nobody has decided on it; whoever asked was told to ask again",
    "`--repair` starts the sweep, which forgets it. If it comes back, see whether workers poll the run's task queue.",
    Remedy.SWEEP,
)

# The engine

UNDRIVEN = Kind(
    "undriven",
    "I5",
    "a booking is not at its end, or owes a refund or a mail, and no workflow drives it",
    "`--repair` starts its workflow again, as the sweep does when the next step is overdue. Find out who ended it.",
    Remedy.REVIVE,
)
STUCK_HOLDING = Kind(
    "stuck_holding",
    "I5",
    "a request is still `holding` long after it was made: its Idempotency-Key answers nothing useful",
    "`--repair` starts the sweep, which forgets it, and the run of one that holds a slot. If it stays, see the run.",
    Remedy.SWEEP,
)
SESSION_NOT_ENDED = Kind(
    "session_not_ended",
    "I3",
    "a session's time is over for long and the booking has not been completed",
    "See whether workers poll and what the run waits for. `--repair` starts a run that is gone.",
    Remedy.REVIVE,
)
OFFER_OVERDUE = Kind(
    "offer_overdue",
    "I3",
    "the time in which a mechanic could take a paid immediate session is over for long, and nobody has it",
    "See whether workers poll and what the run waits for. `--repair` starts a run that is gone: the money goes back.",
    Remedy.REVIVE,
)
TAKEN_WITHOUT_OFFER = Kind(
    "taken_without_offer",
    "I8",
    "an immediate session runs with a mechanic who has not accepted it, or one was accepted that is not under way",
    "Ask the mechanic. Then look for who has changed the row without the workflow.",
)
RUN_OF_ENDED_BOOKING = Kind(
    "run_of_ended_booking",
    "I3",
    "a workflow still runs, though its booking has ended and owes nothing",
    "Look at what it waits for. If nothing, terminate it: the booking needs it no more.",
)
RUN_OF_UNKNOWN_BOOKING = Kind(
    "run_of_unknown_booking",
    "I5",
    "a workflow runs for a booking that the database does not have",
    "Cancel the run: it undoes what there is. Ask how the booking's row was lost.",
)
SHOWN_STATUS_DIFFERS = Kind(
    "shown_status_differs",
    "I3",
    "the engine shows operators another status than the booking has",
    "Look at the run: it cannot go on. No worker polls its task queue, or its workflow tasks fail.",
)
WEBHOOK_NOT_APPLIED = Kind(
    "webhook_not_applied",
    "I5",
    "an event of Stripe's was stored long ago and has not reached its booking",
    "`--repair` starts the sweep, which applies it. If it stays, the sweep does not run or cannot reach Temporal.",
    Remedy.SWEEP,
)

# The waitlist

TWO_OFFERS = Kind(
    "two_offers",
    "I4",
    "an entry in the waitlist has two offers at a time",
    "Cancel the younger booking; see also `guard_missing`.",
)
OFFER_NOT_SETTLED = Kind(
    "offer_not_settled",
    "I5",
    "an offer of the waitlist is paid for, and its entry waits on",
    "Have the entry's row set to `fulfilled`; see also `guard_missing`.",
)
FREED_SLOT_FORGOTTEN = Kind(
    "freed_slot_forgotten",
    "I5",
    "time that somebody waits for has come free long ago, and nobody has looked whom to offer it to",
    "`--repair` starts the sweep. If it stays, look at the run of the workflow `Waitlist`: Stripe or a worker is away.",
    Remedy.SWEEP,
)
ENTRY_OUTLIVED = Kind(
    "entry_outlived",
    "I3",
    "an entry in the waitlist waits for a time that is over",
    "`--repair` starts the sweep, which closes it. If it stays, the sweep does not run.",
    Remedy.SWEEP,
)

# Notifications and the trail

MAIL_OVERDUE = Kind(
    "mail_overdue",
    "I6",
    "a mail that is owed has not gone out for long",
    "Look at the run's pending activity `send_notice` and at the mail server. `--repair` starts a run that is gone.",
    Remedy.REVIVE,
)
MAIL_MISSING = Kind(
    "mail_missing",
    "I6",
    "a mail that the booking's course calls for was never put on record",
    "Tell the customer by other means.",
)
MAIL_SENT_TWICE = Kind(
    "mail_sent_twice",
    "I4",
    "a mail is on record as sent more than once, or as sent without an attempt",
    "The customer may have two copies. Find out which process sent it.",
)
REMINDER_AFTER_START = Kind(
    "reminder_after_start",
    "I6",
    "a reminder went out when its session had begun",
    "Nothing to mend; find out why it was late.",
)
REMINDER_AT_WRONG_TIME = Kind(
    "reminder_at_wrong_time",
    "I6",
    "a reminder is due at another time than its distance from the session's present start",
    "Have the row's `due_at` corrected, or tell the customer by other means.",
)
REMINDER_OF_OLD_TIME = Kind(
    "reminder_of_old_time",
    "I6",
    "a reminder of a time that the booking has no more is still to be sent, or was sent after the move",
    "Tell the customer the present time by other means.",
)
INVITE_SEQUENCE_WRONG = Kind(
    "invite_sequence_wrong",
    "I7",
    "the calendar entry's sequence number does not count the changes of the booking",
    "Calendars ignore an update whose number has not risen: tell the customer by other means.",
)
TRAIL_CONTRADICTS = Kind(
    "trail_contradicts",
    "I5",
    "the booking's status is not the one that its timeline ended in",
    "Somebody has changed the row by hand. The timeline is what happened.",
)

# Waivers

WAIVER_TAMPERED = Kind(
    "waiver_tampered",
    "I5",
    "a signed waiver does not fit the document on record: one of the two was changed afterwards",
    "Keep the database as it is, and compare with a backup and with the signer's PDF. Find out who wrote to it.",
)
STARTED_WITHOUT_WAIVER = Kind(
    "started_without_waiver",
    "I5",
    "an in-person or diagnostic session has started and nobody has signed its waiver",
    "Tell whoever is responsible for the session. Then look for who started it without the workflow.",
)

# Workshops

WORD_OVERDUE = Kind(
    "word_overdue",
    "I3",
    "a booking still waits for the workshop's word, or for the customer's on what it proposes, after its time",
    "Look at its run in the Temporal UI. A repair starts it again, and it cancels the booking and pays all back.",
)
NOTHING_TO_ANSWER = Kind(
    "nothing_to_answer",
    "I3",
    "a workshop proposes other times, and none is there that the customer could take: the booking would end for it",
    "Have the workshop confirm, or move the booking. Then look for who closed the proposal without the workshop.",
)
OPTION_HELD_IN_VAIN = Kind(
    "option_held_in_vain",
    "I3",
    "a time that a workshop has proposed is held, and is proposed no more",
    "Set the reservation to `cancelled`. Then look for who closed the proposal without the workflow.",
)
REFERRAL_USED_TWICE = Kind(
    "referral_used_twice",
    "I2",
    "two bookings that stand were made by one referral",
    "Ask the customer which one is meant, and cancel the other. See that the index one_booking_of_a_referral is there.",
)

# The guards

GUARD_MISSING = Kind(
    "guard_missing",
    "I1, I8",
    "a guard of the database is gone: a constraint, row-level security, a trigger, or the limits of a role",
    "Put it back at once (the migrations say how it was), then run the audit with `--all`.",
)

ALL: tuple[Kind, ...] = tuple(value for value in list(globals().values()) if isinstance(value, Kind))
