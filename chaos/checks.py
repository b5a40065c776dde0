"""The invariants, checked on what is there at rest and on what customers were told: evidence in, violations out."""

import dataclasses
import json
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from uuid import UUID

from chaos import differences, promises, texting, waiting
from chaos.evidence import Evidence, Row
from chaos.story import Story
from chaos.violation import ENDS, KEEPS_MONEY, Found, Violation, violation

# A reminder's last try may begin just before the session; then it takes as long as one try may, and a pause of its
# process.
REMINDER_SLACK = timedelta(seconds=20)


def violations(evidence: Evidence, stories: Sequence[Story], caller: str) -> list[Violation]:
    """`caller` is whom the bookings were made as (`service:<subject>`)."""
    addressed = _with_erased_addresses(evidence, stories)
    found = [each for check in _CHECKS for each in check(addressed)]
    kept = (*promises.CHECKS, *waiting.CHECKS, *texting.CHECKS, *differences.CHECKS)
    return found + [each for check in kept for each in check(evidence, stories, caller)]


def _with_erased_addresses(evidence: Evidence, stories: Sequence[Story]) -> Evidence:
    """Mails are told apart by their address, which only the customer knows of a booking that was erased."""
    known = {story.opened["id"]: story.email for story in stories if story.opened and story.erased}
    bookings = [row | {"customer_email": known.get(str(row["id"]), row["customer_email"])} for row in evidence.bookings]
    return dataclasses.replace(evidence, bookings=bookings)


def no_overlap(evidence: Evidence) -> Found:
    for row in evidence.overlaps:
        yield violation("I1", row["booking_id"], f"overlaps the reservation of {row['other']}: {row['blocked']}")


def bay_with_its_mechanic(evidence: Evidence) -> Found:
    for row in evidence.without_bay:
        yield violation("I1", row["booking_id"], "is in person and holds no bay")


def one_winner(evidence: Evidence) -> Found:
    """Of rivals for one slot at most one keeps it."""
    keeps = [row for row in evidence.bookings if row["status"] in KEEPS_MONEY]
    for (mechanic, start), count in Counter((row["mechanic_id"], row["starts_at"]) for row in keeps).items():
        if count > 1:
            yield violation("I1", None, f"{count} bookings keep the slot of {mechanic} at {start}")


def money_has_its_slot(evidence: Evidence) -> Found:
    """What is kept of all payments of a booking is its price while it stands, and what is agreed once it has ended."""
    rows = {str(row["id"]): row for row in evidence.bookings}
    recorded = {row["payment_intent_id"] for row in evidence.payments}
    kept: Counter[str | None] = Counter()
    for intent in evidence.intents:
        booking, paid = intent["metadata"].get("booking_id"), intent["status"] == "succeeded"
        stays = intent["amount"] - sum(refund["amount"] for refund in evidence.refunds_of(intent)) if paid else 0
        kept[booking] += stays
        if stays and intent["id"] not in recorded:
            yield violation("I2", booking, f"{intent['id']} is paid and not on record")
    for booking, amount in kept.items():
        row = rows.get(booking or "")
        agreed = _agreed(row) if row else 0
        if amount != agreed:
            yield violation("I2", booking, f"is {row and row['status']}, and keeps {amount} of its money, not {agreed}")


def _agreed(row: Row) -> int:
    """How much of the money is the product's own."""
    if row["status"] in ENDS:
        return row["kept_amount"] or 0
    return int(row["amount"]) if row["status"] in KEEPS_MONEY else 0


def refunds_by_policy(evidence: Evidence) -> Found:
    """Who ended a confirmed booking, and when, says how much goes back: by the policy that was agreed with it."""
    moved = defaultdict(list)
    for event in evidence.events:
        if event["event"] == "rescheduled":
            detail = json.loads(event["detail"])
            moved[event["booking_id"]].append((datetime.fromisoformat(detail["from"]), event["at"], detail["by"]))
    back = Counter[UUID]()
    for refund in evidence.refunds:
        back[refund["booking_id"]] += refund["amount"] if _is_of_its_end(refund) else 0
    rows = {row["id"]: row for row in evidence.bookings}
    confirmed = {row["booking_id"] for row in evidence.sessions}
    for event in evidence.events:
        row, detail = rows[event["booking_id"]], json.loads(event["detail"])
        by = detail.get("by")
        if event["event"] != "cancelled" or row["id"] not in confirmed:
            continue
        times = [(row["starts_at"], event["at"], by), *moved[row["id"]]]
        shares = [_share(row, start, at) for start, at, who in times if who in _CUSTOMERS and start is not None]
        agreed = row["workshop_status"] in (None, "confirmed") and "unanswered" not in detail
        by_policy = by in _CUSTOMERS and agreed
        owed = -(-row["amount"] * (min(shares, default=100) if by_policy else 100) // 100)
        if back[row["id"]] != owed:
            yield violation("I9", row["id"], f"cancelled by {by}: {back[row['id']]} go back, {owed} were agreed")


_CUSTOMERS = ("customer", "service")


def _share(row: Row, start: datetime, at: datetime) -> int:
    tiers = sorted(json.loads(row["policy"])["refund_tiers"], key=lambda tier: -tier["minutes_before"])
    left = start - at
    return next((tier["percent"] for tier in tiers if left >= timedelta(minutes=tier["minutes_before"])), 0)


def moves_are_counted(evidence: Evidence) -> Found:
    """Row, timeline, changes that were done and the invite's number name the same moves."""
    told = Counter(row["booking_id"] for row in evidence.events if row["event"] == "rescheduled")
    cancelled = {row["booking_id"] for row in evidence.events if row["event"] == "cancelled"}
    done = _done(evidence, "reschedule", "accept_proposal")
    # What is to be paid for moves when it is paid.
    done.update(row["booking_id"] for row in evidence.supplements if row["status"] == "applied")
    handed, told_handed = _done(evidence, "hand_over"), Counter(_events(evidence, "handed_over"))
    agreed = _done(evidence, "workshop_confirm")
    for row in evidence.bookings:
        id = row["id"]
        numbered = row["invite_sequence"] - handed[id] - agreed[id] - (id in cancelled)
        counts = (row["moves"], told[id], done[id], numbered)
        if len(set(counts)) > 1:
            yield violation("I7", id, f"moved (row, timeline, changes, invite): {counts}")
        if handed[id] != told_handed[id]:
            yield violation("I7", id, f"handed over {handed[id]} times, {told_handed[id]} times in the timeline")


def _events(evidence: Evidence, event: str) -> list[UUID]:
    return [row["booking_id"] for row in evidence.events if row["event"] == event]


def _done(evidence: Evidence, *kinds: str) -> Counter[UUID]:
    """How often changes of these kinds were made of each booking."""
    return Counter(
        row["booking_id"]
        for row in evidence.changes
        if row["kind"] in kinds and row["outcome"] == "done" and not json.loads(row["detail"]).keys() & _NOT_YET
    )


# It was so already, or is to be paid for first.
_NOT_YET = {"unchanged", "supplement"}


def slot_has_its_money(evidence: Evidence) -> Found:
    intents = {intent["id"]: intent for intent in evidence.intents}
    received: Counter[UUID] = Counter()
    for payment in evidence.payments:
        intent = intents.get(payment["payment_intent_id"])
        if intent is not None and intent["status"] == "succeeded":
            received[payment["booking_id"]] += intent["amount_received"]
    own = evidence.own_payments()
    sessions = Counter(row["booking_id"] for row in evidence.sessions)
    confirmed = Counter(row["booking_id"] for row in evidence.reservations if row["status"] == "confirmed")
    for refund in evidence.refunds:
        received[refund["booking_id"]] -= 0 if _is_of_its_end(refund) else refund["amount"]
    for row in evidence.bookings:
        if row["status"] not in KEEPS_MONEY:
            continue
        intent = intents.get(own.get(row["id"], ""))
        if row["status"] in ENDS and row["kept_amount"] is None:
            yield violation("I2", row["id"], f"{row['status']}, and nothing says what is kept")
        if intent is None or intent["status"] != "succeeded" or received[row["id"]] != row["amount"]:
            told = f"{intent and intent['status']}, {received[row['id']]} of {row['amount']}"
            yield violation("I2", row["id"], f"{row['status']} without its money: {told}")
        if sessions[row["id"]] != 1 or confirmed[row["id"]] != 1:
            counts = f"{sessions[row['id']]} sessions, {confirmed[row['id']]} confirmed reservations"
            yield violation("I2", row["id"], f"{row['status']} with {counts}")


def ended_holds_nothing(evidence: Evidence) -> Found:
    """A completed session keeps its reservation as a record of the time that was used."""
    status = {row["id"]: row["status"] for row in evidence.bookings}
    for row in evidence.reservations:
        ended = status[row["booking_id"]] in ENDS - {"completed", "no_show"}
        if row["status"] in ("reserved", "confirmed") and ended:
            yield violation("I3", row["booking_id"], f"{status[row['booking_id']]}, and its slot is {row['status']}")
        if row["status"] == "reserved" and row["expires_at"] < row["read_at"]:
            yield violation("I3", row["booking_id"], "a hold has run out and still says reserved")


def nobody_can_pay_what_has_ended(evidence: Evidence) -> Found:
    status = {str(row["id"]): row["status"] for row in evidence.bookings}
    recorded = {row["payment_intent_id"] for row in evidence.payments}
    for intent in evidence.intents:
        open_still = intent["status"] not in ("succeeded", "canceled")
        if open_still and intent["id"] in recorded and status.get(intent["metadata"]["booking_id"]) in ENDS:
            yield violation("I3", intent["metadata"]["booking_id"], f"{intent['id']} can still be paid")


def once_at_stripe(evidence: Evidence) -> Found:
    """One PaymentIntent for each hold, one refund of each for the booking's end and for whatever else it goes back."""
    before = Counter(row["payment_intent_id"] for row in evidence.refunds if not _is_of_its_end(row))
    holds = Counter(intent["metadata"].get("reservation_id") for intent in evidence.intents)
    for intent in evidence.intents:
        booking = intent["metadata"].get("booking_id")
        if holds[intent["metadata"].get("reservation_id")] > 1:
            yield violation("I4", booking, "two PaymentIntents for one hold")
        if len(refunds := evidence.refunds_of(intent)) > 1 + before[intent["id"]]:
            yield violation("I4", booking, f"{len(refunds)} refunds of {intent['id']}")
    issued = {row["stripe_refund_id"] for row in evidence.refunds}
    for refund in evidence.stripe_refunds:
        if refund["id"] not in issued:
            yield violation("I4", None, f"{refund['id']} of {refund['payment_intent']} is not on record")


def once_by_mail(evidence: Evidence) -> Found:
    """A mail comes once; a second copy has the same Message-ID and says that it is a second attempt."""
    copies: dict[tuple[str, str], list[Row]] = defaultdict(list)
    for mail in evidence.mails:
        copies[mail["to"], mail["message_id"]].append(mail)
    for (to, message), mails in copies.items():
        attempts = Counter(mail["attempt"] for mail in mails)
        if max(attempts.values()) > 1:
            yield violation("I4", None, f"{message} to {to} came twice as one attempt: {dict(attempts)}")
        if len({_method(mail) for mail in mails}) > 1:
            yield violation("I7", None, f"{message} to {to} came with different contents")


def nothing_that_nobody_owes(evidence: Evidence) -> Found:
    """As many mails have come as are on record to be sent, those that were to be sent again counted again."""
    of = {row["id"]: row["customer_email"] for row in evidence.bookings}
    owed: Counter[str] = Counter()
    for row in evidence.notices:
        if row["channel"] == "email" and row["kind"] != "workshop_request":
            owed[of[row["booking_id"]]] += row["sending"]
    came = Counter(to for to, _ in {(mail["to"], mail["message_id"]) for mail in evidence.mails})
    for to, count in came.items():
        if to in of.values() and count > owed[to]:
            yield violation("I4", None, f"{count} mails came to {to}, {owed[to]} were owed")


def once_in_the_timeline(evidence: Evidence) -> Found:
    single = {"hold_placed", "awaiting_payment", "payment_succeeded", "confirmed", *ENDS}
    refunds = Counter(row["booking_id"] for row in evidence.refunds)
    for booking, count in Counter(_events(evidence, "refund_issued")).items():
        if count > refunds[booking]:
            yield violation("I4", booking, f"{count} times in the timeline: refund_issued, for {refunds[booking]}")
    counts = Counter((row["booking_id"], row["event"]) for row in evidence.events if row["event"] in single)
    for (booking, event), count in counts.items():
        if count > 1:
            yield violation("I4", booking, f"{count} times in the timeline: {event}")
    sendings = {row["key"]: row["sending"] for row in evidence.notices}
    sent = [row for row in evidence.events if row["event"] in ("mail_sent", "text_sent")]
    keys = Counter((row["booking_id"], json.loads(row["detail"])["key"]) for row in sent)
    for (booking, key), count in keys.items():
        if count > sendings.get(key, 0):
            yield violation("I4", booking, f"{count} times in the timeline: {key} was sent")


def nothing_left_undone(evidence: Evidence) -> Found:
    """At rest no request is half made, no event is unapplied, no mail is neither sent nor skipped."""
    for row in evidence.bookings:
        if row["status"] in ("holding", "awaiting_payment", "pending"):
            yield violation("I5", row["id"], f"is {row['status']} for good: its key stays in progress")
    for row in evidence.unapplied:
        yield violation("I5", row["booking_id"], f"{row['event_id']} ({row['type']}) is stored and not applied")
    over = {row["id"] for row in evidence.bookings if row["ends_at"] and row["ends_at"] < row["read_at"]}
    for row in evidence.notices:
        # A mail of which nobody could make use any more was given up, and that is on record.
        given_up = row["status"] == "failed" and row["booking_id"] in over
        if row["status"] in ("sending", "failed") and not given_up:
            yield violation("I4", row["booking_id"], f"the mail {row['key']} is {row['status']}: {row['detail']}")


def runs_match(evidence: Evidence) -> Found:
    """A booking that stands has one running workflow; one that has ended, or never was, has none."""
    status = {f"booking/{row['id']}": row["status"] for row in evidence.bookings}
    for workflow in {*status, *evidence.workflows}:
        states = Counter(evidence.workflows.get(workflow, []))
        stands = status.get(workflow) is not None and status[workflow] not in ENDS
        if states["RUNNING"] != int(stands):
            found = f"the booking is {status.get(workflow)}, its runs are {dict(states)}"
            yield violation("I5", workflow.removeprefix("booking/"), found)
        if states["FAILED"] or states["TIMED_OUT"]:
            yield violation("I5", workflow.removeprefix("booking/"), f"its runs ended as {dict(states)}")


def reminders_in_their_time(evidence: Evidence) -> Found:
    """None after the session began, none for a booking that was called off, each offset once."""
    start = {row["customer_email"]: row["starts_at"] for row in evidence.bookings}
    ended = {row["booking_id"]: row["at"] for row in evidence.events if row["event"] in ("cancelled", "refunded")}
    of = {row["customer_email"]: row["id"] for row in evidence.bookings}
    for mail in evidence.mails:
        if not mail["subject"].startswith("Reminder"):
            continue
        came, booking = datetime.fromisoformat(mail["received_at"]), of.get(mail["to"])
        begins = start.get(mail["to"])
        if begins is None or came > begins + REMINDER_SLACK:
            yield violation("I6", booking, f"a reminder to {mail['to']} came at {came}, after the session began")
        if booking in ended and came > ended[booking] + REMINDER_SLACK:
            yield violation("I6", booking, f"a reminder came at {came}, after the booking had ended")


def every_mail_is_there(evidence: Evidence) -> Found:
    """What is on record as sent has arrived, and what a booking is owed by where it stands is on record."""
    arrived = Counter(mail["message_id"] for mail in evidence.mails)
    sent = [row for row in evidence.notices if row["status"] == "sent" and row["channel"] == "email"]
    kinds = defaultdict(set)
    for row in evidence.notices:
        kinds[row["booking_id"]].add(row["kind"])
    handed = _done(evidence, "hand_over")
    if len(arrived) < len(sent):
        yield violation("I4", None, f"{len(sent)} mails are on record as sent, {len(arrived)} have arrived")
    for row in evidence.bookings:
        if row["workshop_status"] == "lapsed" and "workshop_declined" not in kinds[row["id"]]:
            yield violation("I6", row["id"], "the workshop has not answered, and no mail says so")
        if row["status"] in KEEPS_MONEY and not _owed_by(row) <= kinds[row["id"]]:
            yield violation("I6", row["id"], f"stands, and only these mails are on record: {kinds[row['id']]}")
        if row["status"] == "refunded" and not kinds[row["id"]] & {"refund", "not_taken"}:
            yield violation("I4", row["id"], "refunded, and no mail says so")
        if handed[row["id"]] and "handed_over" not in kinds[row["id"]]:
            yield violation("I6", row["id"], "handed over, and no mail says so")
        if row["moves"] and "rescheduled" not in kinds[row["id"]]:
            yield violation("I6", row["id"], "moved, and no mail says so")
        if row["status"] == "no_show" and "no_show" not in kinds[row["id"]]:
            yield violation("I6", row["id"], "missed, and no mail says so")


def _owed_by(row: Row) -> set[str]:
    """What a booking that stands has told its customer; one at once has neither time to confirm nor to remind of.

    One to which a workshop had to agree is confirmed when it has, or has been moved where the workshop wanted it.
    """
    if row["duration_minutes"]:
        return {"taken"}
    if row["workshop_status"] is None:
        return {"confirmation", "reminder"}
    return {"workshop_asked", "reminder", "rescheduled" if row["moves"] else "confirmation"}


def invites_keep_their_name(evidence: Evidence) -> Found:
    of = {row["customer_email"]: row for row in evidence.bookings}
    last: Counter[str] = Counter()
    for mail in sorted(evidence.mails, key=lambda each: datetime.fromisoformat(each["received_at"])):
        if not mail["ics"]:
            continue
        booking, lines = of.get(mail["to"]), _unfolded(mail["ics"])
        if booking is None or f"UID:{booking['id']}@pitstop" not in lines:
            yield violation("I7", booking and booking["id"], f"an invite to {mail['to']} has another UID")
            continue
        number = next((int(line.removeprefix("SEQUENCE:")) for line in lines if line.startswith("SEQUENCE:")), -1)
        cancels = "METHOD:CANCEL" in lines
        most = booking["invite_sequence"] - (booking["status"] == "cancelled")
        right = number == booking["invite_sequence"] if cancels else last[mail["to"]] <= number <= most
        last[mail["to"]] = number
        if not right:
            yield violation("I7", booking["id"], f"the invite {mail['subject']!r} has SEQUENCE {number}")


# Small change


def _is_of_its_end(refund: Row) -> bool:
    """And not because the booking has become cheaper, or was not moved to what was paid for."""
    key = refund["idempotency_key"]
    return "/move/" not in key and not key.endswith("/returned")


def _method(mail: Row) -> str | None:
    return next((line for line in _unfolded(mail["ics"] or "") if line.startswith("METHOD:")), None)


def _unfolded(ics: str) -> list[str]:
    """The lines of an iCalendar object (RFC 5545, 3.1)."""
    return ics.replace("\r\n ", "").replace("\n ", "").splitlines()


_CHECKS: tuple[Callable[[Evidence], Found], ...] = (
    no_overlap,
    bay_with_its_mechanic,
    one_winner,
    money_has_its_slot,
    refunds_by_policy,
    moves_are_counted,
    slot_has_its_money,
    ended_holds_nothing,
    nobody_can_pay_what_has_ended,
    once_at_stripe,
    once_by_mail,
    nothing_that_nobody_owes,
    once_in_the_timeline,
    nothing_left_undone,
    runs_match,
    reminders_in_their_time,
    every_mail_is_there,
    invites_keep_their_name,
)
