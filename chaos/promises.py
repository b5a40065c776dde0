"""What customers were told, held against what is there: stories and evidence in, violations out."""

from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from datetime import timedelta
from uuid import UUID

from chaos.evidence import Evidence
from chaos.plan import Trade
from chaos.story import Story
from chaos.violation import ENDS, KEEPS_MONEY, Found, violation
from pitstop.domain.identity import booking_id


def acknowledged_survives(evidence: Evidence, stories: Sequence[Story], caller: str) -> Found:
    rows = {row["id"]: row for row in evidence.bookings}
    intents = evidence.own_payments()
    for story in stories:
        if story.opened is None:
            continue
        told, row = story.opened, rows.get(UUID(story.opened["id"]))
        if row is None:
            yield violation("I5", told["id"], "was acknowledged, and is not there")
            continue
        if told["payment"] and intents.get(row["id"]) != told["payment"]["payment_intent_id"]:
            yield violation("I5", told["id"], "has another PaymentIntent than the customer was given")
        if story.agreed_start not in (None, row["starts_at"]) or row["amount"] != (story.price or told["amount"]):
            yield violation("I9", told["id"], "has another start or price than was acknowledged")


def with_whom_it_was_agreed(evidence: Evidence, stories: Sequence[Story], caller: str) -> Found:
    """A booking is with the mechanic who was named when it was made, or to whom it was said to be handed over."""
    rows = {row["id"]: row for row in evidence.bookings}
    for story in stories:
        row = rows.get(UUID(story.opened["id"])) if story.opened else None
        if row is None or story.opened is None or story.plan.trade is not Trade.ONLINE:
            continue
        agreed = story.handed_to or story.opened["mechanic_id"]
        if str(row["mechanic_id"]) != agreed:
            yield violation("I5", row["id"], f"is with {row['mechanic_id']}, agreed was {agreed}")


def refused_left_nothing(evidence: Evidence, stories: Sequence[Story], caller: str) -> Found:
    rows = {row["id"] for row in evidence.bookings}
    for story in stories:
        booking = booking_id(caller, story.key)
        if story.opened is None and story.refused is not None and booking in rows:
            yield violation("I5", booking, f"was refused ({story.refused}), and is there")


def ended_right(evidence: Evidence, stories: Sequence[Story], caller: str) -> Found:
    """Where it is follows from what was done: paid in time is confirmed, only what was called off is cancelled."""
    rows = {row["id"]: row for row in evidence.bookings}
    paid = {intent["id"] for intent in evidence.intents if intent["status"] == "succeeded"}
    # Everything was down until the session's start had passed: then the money goes back.
    starts = {row["id"]: row["starts_at"] for row in evidence.bookings}
    too_late = {
        row["booking_id"]
        for row in evidence.refunds
        if (start := starts[row["booking_id"]]) is not None and row["requested_at"] >= start
    }
    rivals = Counter((story.plan.mechanic, story.plan.minute) for story in stories)
    for story in stories:
        row = rows.get(UUID(story.opened["id"])) if story.opened else None
        if row is None or story.opened is None or not story.opened["payment"]:
            continue
        is_paid = story.opened["payment"]["payment_intent_id"] in paid
        alone = (
            story.plan.trade is Trade.ONLINE
            and rivals[story.plan.mechanic, story.plan.minute] == 1
            and row["id"] not in too_late
        )
        if row["status"] not in _right_ends(story, is_paid, alone=alone):
            about = f"{story.plan.kind}, {'paid' if is_paid else 'not paid'}"
            yield violation("I2", row["id"], f"ended as {row['status']}, although: {about}")
        if story.paid_at and not is_paid:
            yield violation("I2", row["id"], "Stripe told the customer that it is paid, and says now that it is not")


def _right_ends(story: Story, is_paid: bool, *, alone: bool) -> frozenset[str]:
    if story.ended:
        return frozenset((story.ended,))
    if story.taken_by:
        return KEEPS_MONEY
    if is_paid and story.plan.trade is Trade.YARD and story.word not in ("confirmed", None):
        return frozenset(("cancelled",))
    if not is_paid:
        return frozenset(("expired", "payment_failed")) | ({"cancelled"} if story.called_off else set())
    if story.called_off:
        return KEEPS_MONEY | {"cancelled", "refunded"}
    in_time = story.paid_at is not None and story.paid_at < story.start - timedelta(seconds=30)
    if story.plan.trade is Trade.YARD and story.word is None:
        return KEEPS_MONEY | {"refunded", "cancelled"}
    return KEEPS_MONEY if alone and in_time else KEEPS_MONEY | {"refunded"}


def erased_is_gone(evidence: Evidence, stories: Sequence[Story], caller: str) -> Found:
    """All of it, here and at Stripe, of those who were told so; and nothing of anybody else."""
    told = {UUID(story.opened["id"]) for story in stories if story.opened and story.erased}
    done = {row["customer_id"] for row in evidence.erasures if row["completed_at"]}
    addresses = {intent["id"] for intent in evidence.intents if intent["receipt_email"]}
    addressed = {row["booking_id"] for row in evidence.payments if row["payment_intent_id"] in addresses}
    for row in evidence.bookings:
        if (row["erased_at"] is not None) != (row["id"] in told):
            yield violation("I5", row["id"], f"erased at {row['erased_at']}; its customer was told otherwise")
        if row["erased_at"] is None:
            continue
        if left := [name for name in _PERSONAL if row[name] not in _NOTHING]:
            yield violation("I5", row["id"], f"is erased, and these are still there: {left}")
        if row["status"] not in ENDS or row["customer_id"] not in done:
            yield violation("I5", row["id"], f"is {row['status']}, and its erasure is not complete")
        if row["id"] in addressed:
            yield violation("I5", row["id"], "is erased, and Stripe still has the address")


_PERSONAL = ("customer_name", "customer_email", "customer_phone", "city", "postal_code", "intake")
_NOTHING = (None, "", "{}")


def answers_keep_the_contract(evidence: Evidence, stories: Sequence[Story], caller: str) -> Found:
    for story in stories:
        for complaint in story.complaints:
            yield violation("answer", booking_id(caller, story.key), f"{story.plan.kind}: {complaint}")


def taken_by_exactly_one(evidence: Evidence, stories: Sequence[Story], caller: str) -> Found:
    """Of the mechanics who said yes to an immediate session one was told that it is theirs, and has it."""
    rows = {row["id"]: row for row in evidence.bookings}
    taken = defaultdict(list)
    for offer in evidence.offers:
        row = rows[offer["booking_id"]]
        if offer["outcome"] is None and row["status"] != "pending":
            yield violation("I3", row["id"], f"is {row['status']}, and still offered to {offer['mechanic_id']}")
        if offer["outcome"] == "accepted":
            taken[row["id"]].append(str(offer["mechanic_id"]))
    for row in evidence.bookings:
        if not row["duration_minutes"]:
            continue
        has = [str(row["mechanic_id"])] if row["mechanic_id"] else []
        if taken[row["id"]] != has:
            yield violation("I1", row["id"], f"is with {has}, and these have taken it: {taken[row['id']]}")
    for story in stories:
        if len(set(story.taken_by)) > 1:
            yield violation("I1", booking_id(caller, story.key), f"{story.taken_by} were told that it is theirs")
        if story.opened and story.taken_by and set(story.taken_by) != set(taken[UUID(story.opened["id"])]):
            told = f"{story.taken_by} were told that it is theirs, and it is not"
            yield violation("I5", story.opened["id"], told)


def nobody_pays_for_nothing(evidence: Evidence, stories: Sequence[Story], caller: str) -> Found:
    """Whoever nobody took gets all of the money back, at Stripe, and is told so."""
    told = {row["booking_id"] for row in evidence.notices if row["kind"] == "not_taken"}
    back: Counter[str] = Counter()
    for refund in evidence.stripe_refunds:
        back[refund["payment_intent"]] += refund["amount"]
    paid = evidence.own_payments()
    for row in evidence.bookings:
        if row["duration_minutes"] and row["status"] == "refunded":
            amount = back[paid[row["id"]]]
            if amount != row["amount"] or row["id"] not in told:
                yield violation("I2", row["id"], f"nobody took it: {amount} of {row['amount']} went back; told: {told}")


def the_word_is_kept(evidence: Evidence, stories: Sequence[Story], caller: str) -> Found:
    """What a workshop was heard to say is so; and where the customer is left without, all of the money goes back."""
    rows = {row["id"]: row for row in evidence.bookings}
    for story in stories:
        row = rows.get(UUID(story.opened["id"])) if story.opened else None
        if row is None:
            continue
        final = story.word in ("confirmed", "declined", "lapsed")
        if final and row["workshop_status"] != story.word:
            yield violation("I5", row["id"], f"the workshop's word was {story.word}, and is {row['workshop_status']}")
    for row in evidence.bookings:
        if row["workshop_status"] in ("declined", "lapsed") and (row["status"], row["kept_amount"]) != ("cancelled", 0):
            told = f"is {row['status']} and keeps {row['kept_amount']}, the workshop's word is {row['workshop_status']}"
            yield violation("I2", row["id"], told)
        if row["workshop_status"] in ("awaiting", "proposed") and row["status"] not in ENDS:
            yield violation("I5", row["id"], f"a word is waited for, and it has not come: {row['workshop_status']}")


def nothing_begins_unsigned(evidence: Evidence, stories: Sequence[Story], caller: str) -> Found:
    """Nobody works on a vehicle before its owner has signed; and what was signed is there."""
    signed = defaultdict(list)
    for row in evidence.signatures:
        signed[row["booking_id"]].append(row["accepted_at"])
    for session in evidence.sessions:
        begun = session["started_at"]
        if begun is None or session["kind"] not in ("in_person", "diagnostic"):
            continue
        # The run's clock and the database's are this machine's.
        if not any(at <= begun + _ONE_DECISION for at in signed[session["booking_id"]]):
            yield violation("I5", session["booking_id"], f"began at {begun}, unsigned")
    for story in stories:
        if story.opened and len(signed[UUID(story.opened["id"])]) < story.signed:
            yield violation("I5", story.opened["id"], f"{story.signed} signatures were taken, and not all are there")


# A decision bears the time at which its step was asked for; it sees what was signed until its transaction.
_ONE_DECISION = timedelta(seconds=30)


def a_referral_is_good_for_one(evidence: Evidence, stories: Sequence[Story], caller: str) -> Found:
    """One booking that stands by each, and it says where it comes from."""
    used = Counter(
        row["referral_id"] for row in evidence.bookings if row["referral_id"] and row["status"] not in _GIVEN_BACK
    )
    for referral, count in used.items():
        if count > 1:
            yield violation("I4", None, f"{count} bookings stand by the referral {referral}")
    rows = {str(row["id"]): row for row in evidence.bookings}
    for story in stories:
        row = rows.get(story.opened["id"]) if story.opened and story.referral else None
        if row is not None and str(row["referred_from"]) != story.referred_from:
            yield violation("I5", row["id"], f"was booked from {story.referred_from}, and says {row['referred_from']}")


_GIVEN_BACK = ENDS - KEEPS_MONEY

CHECKS: tuple[Callable[[Evidence, Sequence[Story], str], Found], ...] = (
    acknowledged_survives,
    with_whom_it_was_agreed,
    refused_left_nothing,
    ended_right,
    erased_is_gone,
    answers_keep_the_contract,
    taken_by_exactly_one,
    nobody_pays_for_nothing,
    the_word_is_kept,
    nothing_begins_unsigned,
    a_referral_is_good_for_one,
)
