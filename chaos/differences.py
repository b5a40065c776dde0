"""What a dearer plan costs more, held against what came of it: stories and evidence in, violations out."""

import json
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from uuid import UUID

from chaos.evidence import Evidence, Row
from chaos.story import Story
from chaos.violation import Found, violation


def moved_is_paid_once(evidence: Evidence, stories: Sequence[Story], caller: str) -> Found:
    """A booking is at the dearer plan by a difference that Stripe has got, all of it, once."""
    payments = defaultdict(list)
    for row in evidence.payments:
        if row["supplement_id"] is not None:
            payments[row["supplement_id"]].append(row["payment_intent_id"])
    intents = {intent["id"]: intent for intent in evidence.intents}
    applied: Counter[UUID] = Counter()
    for supplement, booking in _differences(evidence):
        if supplement["status"] != "applied":
            continue
        applied[booking] += supplement["amount"]
        paid = [intents[id] for id in payments[supplement["id"]] if id in intents and _is_paid(intents[id])]
        if [intent["amount_received"] for intent in paid] != [supplement["amount"]]:
            yield violation(
                "I2", booking, f"moved for {supplement['amount']} more, and {len(paid)} payments brought it"
            )
    moved = _moved_for(evidence)
    for booking in moved.keys() | applied.keys():
        if moved[booking] != applied[booking]:
            told = f"moved to what costs {moved[booking]} more, and {applied[booking]} were to be paid for it"
            yield violation("I2", booking, told)


def _moved_for(evidence: Evidence) -> Counter[UUID]:
    """How much more each booking costs by its moves to something dearer."""
    moved: Counter[UUID] = Counter()
    for event in evidence.events:
        difference = json.loads(event["detail"]).get("difference", 0) if event["event"] == "rescheduled" else 0
        if difference < 0:
            moved[event["booking_id"]] -= difference
    return moved


def not_applied_goes_back(evidence: Evidence, stories: Sequence[Story], caller: str) -> Found:
    """All of it, also where nothing here says that it was paid; and nothing that came in time is late."""
    paid = {row["supplement_id"]: row["paid_at"] for row in evidence.payments if row["supplement_id"] is not None}
    starts = {row["id"]: row["starts_at"] for row in evidence.bookings}
    for supplement, booking in _differences(evidence):
        if supplement["status"] == "applied":
            continue
        for intent in filter(_is_paid, _asked_of_stripe(evidence, supplement)):
            back = _back(evidence, intent)
            if back != intent["amount_received"]:
                told = f"{intent['id']}: {back} of {intent['amount_received']} went back"
                yield violation("I2", booking, f"{told}, the difference is {supplement['status']}")
        settled = paid.get(supplement["id"])
        in_time = settled is not None and settled <= supplement["lapses_at"] and settled < starts[booking]
        if in_time and supplement["status"] in ("lapsed", "lost"):
            yield violation(
                "I2", booking, f"was paid at {settled}, in time, and the difference is {supplement['status']}"
            )


def nobody_is_charged_twice(evidence: Evidence, stories: Sequence[Story], caller: str) -> Found:
    """One payment that is kept for a booking, and one for each move to something dearer."""
    kept = Counter(
        (intent["metadata"].get("booking_id"), intent["metadata"].get("change_id"))
        for intent in evidence.intents
        if _is_paid(intent) and _back(evidence, intent) < intent["amount"]
    )
    for (booking, change), count in kept.items():
        if count > 1:
            yield violation("I2", booking, f"paid {count} times{f' for the change {change}' if change else ''}")


def what_is_over_is_let_go(evidence: Evidence, stories: Sequence[Story], caller: str) -> Found:
    """None is open for good. One that is not open cannot be paid, and holds no time."""
    live = {row["supplement_id"] for row in evidence.reservations if row["status"] in ("reserved", "confirmed")}
    for supplement, booking in _differences(evidence):
        if supplement["status"] == "open":
            yield violation("I3", booking, f"the difference {supplement['id']} is open for good")
            continue
        if supplement["id"] in live:
            yield violation("I3", booking, f"the difference is {supplement['status']}, and its time is held")
        for intent in _asked_of_stripe(evidence, supplement):
            if intent["status"] not in ("succeeded", "canceled"):
                yield violation("I3", booking, f"the difference is {supplement['status']}, {intent['id']} can be paid")


def settled_once(evidence: Evidence, stories: Sequence[Story], caller: str) -> Found:
    """Asked for once, settled once, and given back at most once, as the timeline has it."""
    told: dict[str, Counter[str]] = defaultdict(Counter)
    for event in evidence.events:
        if event["event"].startswith(_EVENT):
            told[json.loads(event["detail"])["supplement_id"]][event["event"].removeprefix(_EVENT)] += 1
    for supplement, booking in _differences(evidence):
        counts = told[str(supplement["id"])]
        wanted = Counter({"requested": 1, supplement["status"]: 1}) - Counter({"open": 1})
        if counts - Counter({"returned": 1}) != wanted:
            yield violation("I4", booking, f"the difference is {supplement['status']}, its timeline: {dict(counts)}")


_EVENT = "supplement_"


def who_was_asked_to_pay(evidence: Evidence, stories: Sequence[Story], caller: str) -> Found:
    """What a customer was told to pay is on record as such, and what Stripe took for it is there."""
    amounts = {str(row["id"]): row["amount"] for row in evidence.supplements}
    intents = {intent["id"]: intent for intent in evidence.intents}
    for story in stories:
        asked = story.difference
        if asked is None or story.opened is None:
            continue
        booking = story.opened["id"]
        if amounts.get(asked["id"]) != asked["amount"]:
            told = f"{asked['amount']} were to be paid, on record are {amounts.get(asked['id'])}"
            yield violation("I5", booking, told)
        paid = intents.get(asked["payment_intent_id"])
        if story.difference_paid and (paid is None or not _is_paid(paid)):
            yield violation("I2", booking, "Stripe told the customer that the difference is paid, and it is not")


def _differences(evidence: Evidence) -> Iterator[tuple[Row, UUID]]:
    return ((row, row["booking_id"]) for row in evidence.supplements)


def _asked_of_stripe(evidence: Evidence, supplement: Row) -> list[Row]:
    """By what Stripe was told, whatever is on record here."""
    change = str(supplement["id"])
    return [intent for intent in evidence.intents if intent["metadata"].get("change_id") == change]


def _is_paid(intent: Row) -> bool:
    return bool(intent["status"] == "succeeded")


def _back(evidence: Evidence, intent: Row) -> int:
    return sum(refund["amount"] for refund in evidence.refunds_of(intent))


CHECKS: tuple[Callable[[Evidence, Sequence[Story], str], Found], ...] = (
    moved_is_paid_once,
    not_applied_goes_back,
    nobody_is_charged_twice,
    what_is_over_is_let_go,
    settled_once,
    who_was_asked_to_pay,
)
