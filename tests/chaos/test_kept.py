"""Controls: what breaks a promise to whoever has a part in a booking is found, and its evidence is clean without it."""

import dataclasses
import json
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from chaos import checks, differences, promises, texting, waiting
from chaos.evidence import Evidence
from chaos.plan import Booking, Kind
from chaos.story import Story
from chaos.violation import Found
from chaos.world import CALLER

Check = Callable[[Evidence, Sequence[Story], str], Found]
Rows = list[dict[str, Any]]
Plant = Callable[[Rows], Rows]

NOW = datetime(2026, 12, 1, 12, tzinfo=UTC)
SOON = timedelta(minutes=1)
# Who has a part in it, and the bookings of each kind.
MECHANIC, OTHER, FIRST, SECOND = (UUID(int=number) for number in range(1, 5))
TAKEN, NOT_TAKEN, VISIT, GIVEN_BACK, LET_PASS, PAID, CHEAPER, DEARER, LATE = (
    UUID(int=number) for number in range(11, 20)
)
# What was to be paid beside: for the one that has moved, and for the one whose customer was late.
MORE, TOO_LATE = UUID(int=31), UUID(int=32)
NUMBER, STRANGER = "+14165550123", "+14165550199"


def _booking(id: UUID, status: str, **told: Any) -> dict[str, Any]:
    known = {"mechanic_id": MECHANIC, "starts_at": NOW, "customer_email": f"{id}@example.com", "customer_phone": None}
    others = {"duration_minutes": None, "amount": 8900, "workshop_status": None, "kept_amount": None}
    offer = {"waitlist_entry_id": None, "referral_id": None, "referred_from": None, "created_at": NOW}
    counts = {"moves": 0, "invite_sequence": 0}
    return {"id": id, "status": status, **known, **others, **offer, **counts, **told}


def _change(booking: UUID, kind: str, detail: str = "{}") -> dict[str, Any]:
    return {"booking_id": booking, "kind": kind, "outcome": "done", "detail": detail}


def _event(booking: UUID, event: str, **detail: Any) -> dict[str, Any]:
    return {"booking_id": booking, "event": event, "detail": json.dumps(detail)}


def _intent(id: str, booking: UUID, amount: int, change: UUID | None = None) -> dict[str, Any]:
    metadata = {"booking_id": str(booking)} | ({"change_id": str(change)} if change else {})
    return {"id": id, "metadata": metadata, "status": "succeeded", "amount": amount, "amount_received": amount}


def _payment(intent: str, booking: UUID, supplement: UUID | None = None) -> dict[str, Any]:
    paid = {"paid_at": NOW - SOON, "supplement_id": supplement}
    return {"booking_id": booking, "payment_intent_id": intent, **paid}


def _supplement(id: UUID, booking: UUID, status: str, lapses_at: datetime) -> dict[str, Any]:
    return {"id": id, "booking_id": booking, "status": status, "amount": 3100, "lapses_at": lapses_at}


def _hold(booking: UUID, status: str, **times: Any) -> dict[str, Any]:
    known = {"mechanic_id": MECHANIC, "starts_at": NOW, "created_at": NOW, "updated_at": NOW, "expires_at": NOW}
    known |= {"supplement_id": None}
    return {"booking_id": booking, "status": status, **known, **times}


def _notice(booking: UUID, kind: str, channel: str = "email", **told: Any) -> dict[str, Any]:
    known = {"key": f"{booking}/{kind}", "status": "sent", "attempts": 1, "sending": 1, "message_sid": None}
    known |= {"delivery_status": None}
    return {"booking_id": booking, "kind": kind, "channel": channel, **known, **told}


CLEAN = Evidence(
    bookings=[
        _booking(TAKEN, "completed", duration_minutes=1, customer_phone=NUMBER),
        _booking(NOT_TAKEN, "refunded", duration_minutes=1, mechanic_id=None, starts_at=None),
        _booking(
            VISIT, "completed", workshop_status="confirmed", invite_sequence=1, referral_id=FIRST, referred_from=TAKEN
        ),
        _booking(GIVEN_BACK, "cancelled"),
        _booking(LET_PASS, "expired", waitlist_entry_id=FIRST),
        _booking(PAID, "confirmed", waitlist_entry_id=SECOND, created_at=NOW + SOON),
        _booking(CHEAPER, "confirmed", mechanic_id=OTHER, amount=5000, invite_sequence=2, moves=1),
        _booking(DEARER, "confirmed", mechanic_id=OTHER, amount=12000, invite_sequence=1, moves=1),
        _booking(LATE, "confirmed", mechanic_id=OTHER),
    ],
    offers=[
        {"booking_id": TAKEN, "mechanic_id": MECHANIC, "outcome": "accepted"},
        {"booking_id": TAKEN, "mechanic_id": OTHER, "outcome": "lapsed"},
        {"booking_id": NOT_TAKEN, "mechanic_id": MECHANIC, "outcome": "lapsed"},
    ],
    payments=[
        _payment("pi_1", NOT_TAKEN),
        _payment("pi_2", CHEAPER),
        _payment("pi_3", DEARER),
        _payment("pi_4", DEARER, MORE),
        _payment("pi_5", LATE),
        _payment("pi_6", LATE, TOO_LATE),
    ],
    intents=[
        _intent("pi_2", CHEAPER, 8900),
        _intent("pi_3", DEARER, 8900),
        _intent("pi_4", DEARER, 3100, MORE),
        _intent("pi_5", LATE, 8900),
        _intent("pi_6", LATE, 3100, TOO_LATE),
    ],
    supplements=[
        _supplement(MORE, DEARER, "applied", NOW),
        _supplement(TOO_LATE, LATE, "lapsed", NOW - 2 * SOON),
    ],
    refunds=[{"booking_id": CHEAPER, "payment_intent_id": "pi_2", "idempotency_key": "refund/pi_2/move/1"}],
    stripe_refunds=[
        {"id": "re_1", "payment_intent": "pi_1", "amount": 8900},
        {"id": "re_2", "payment_intent": "pi_2", "amount": 3900},
        {"id": "re_3", "payment_intent": "pi_6", "amount": 3100},
    ],
    changes=[
        _change(CHEAPER, "reschedule"),
        _change(CHEAPER, "hand_over"),
        _change(DEARER, "reschedule", '{"supplement": true}'),
        _change(LATE, "reschedule", '{"supplement": true}'),
        _change(VISIT, "workshop_confirm"),
    ],
    events=[
        _event(CHEAPER, "rescheduled", difference=3900),
        _event(CHEAPER, "handed_over"),
        _event(DEARER, "supplement_requested", supplement_id=str(MORE)),
        _event(DEARER, "supplement_applied", supplement_id=str(MORE)),
        _event(DEARER, "rescheduled", difference=-3100),
        _event(LATE, "supplement_requested", supplement_id=str(TOO_LATE)),
        _event(LATE, "supplement_lapsed", supplement_id=str(TOO_LATE)),
        _event(LATE, "supplement_returned", supplement_id=str(TOO_LATE)),
    ],
    sessions=[{"booking_id": VISIT, "kind": "in_person", "started_at": NOW + SOON}],
    signatures=[{"booking_id": VISIT, "accepted_at": NOW}],
    entries=[
        {"id": FIRST, "status": "left", "created_at": NOW},
        {"id": SECOND, "status": "fulfilled", "created_at": NOW + SOON},
    ],
    reservations=[
        _hold(GIVEN_BACK, "cancelled", created_at=NOW - SOON, updated_at=NOW),
        _hold(LET_PASS, "expired", expires_at=NOW + SOON),
        _hold(PAID, "confirmed", created_at=NOW + SOON),
        _hold(LATE, "expired", mechanic_id=OTHER, supplement_id=TOO_LATE),
    ],
    notices=[
        _notice(NOT_TAKEN, "not_taken"),
        _notice(TAKEN, "taken", "sms", message_sid="SM_1", delivery_status="delivered"),
    ],
    mails=[{"to": f"{NOT_TAKEN}@example.com", "message_id": "<1@example.com>"}],
    texts=[{"sid": "SM_1", "to": NUMBER, "direction": "outbound-api", "body": "Starting.", "status": "delivered"}],
    text_news=[
        {"message": "SM_1", "params": {"MessageStatus": "delivered"}, "state": "delivered", "history": []},
        {
            "message": "SM_2",
            "params": {"SmsStatus": "received", "From": NUMBER, "Body": "STOP"},
            "state": "delivered",
            "history": [{"at": NOW.timestamp()}],
        },
    ],
    text_calls=[{"method": "POST", "at": (NOW - SOON).timestamp(), "params": {"To": NUMBER}}],
)


def _of_evidence(check: Callable[[Evidence], Found]) -> Check:
    return lambda evidence, stories, caller: check(evidence)


# Which check finds what is planted in which part of the evidence.
PLANTED: list[tuple[Check, str, Plant]] = [
    (promises.taken_by_exactly_one, "offers", lambda rows: [row | {"outcome": "accepted"} for row in rows]),
    (promises.taken_by_exactly_one, "offers", lambda rows: [row | {"outcome": None} for row in rows]),
    (promises.taken_by_exactly_one, "offers", lambda rows: []),
    (promises.nobody_pays_for_nothing, "stripe_refunds", lambda rows: [row | {"amount": 4450} for row in rows]),
    (promises.nobody_pays_for_nothing, "notices", lambda rows: []),
    (promises.the_word_is_kept, "bookings", lambda rows: [row | {"workshop_status": "lapsed"} for row in rows]),
    (promises.the_word_is_kept, "bookings", lambda rows: [_booking(VISIT, "confirmed", workshop_status="awaiting")]),
    (promises.nothing_begins_unsigned, "signatures", lambda rows: []),
    (
        promises.nothing_begins_unsigned,
        "signatures",
        lambda rows: [row | {"accepted_at": NOW + 2 * SOON} for row in rows],
    ),
    (promises.a_referral_is_good_for_one, "bookings", lambda rows: [*rows, *rows]),
    (waiting.nobody_is_lost_in_line, "entries", lambda rows: [row | {"status": "waiting"} for row in rows]),
    (waiting.offers_are_made_once, "bookings", lambda rows: [row | {"waitlist_entry_id": FIRST} for row in rows]),
    (
        waiting.offers_are_made_once,
        "bookings",
        lambda rows: [_booking(id, "holding", waitlist_entry_id=FIRST, mechanic_id=id) for id in (PAID, LET_PASS)],
    ),
    (waiting.the_first_is_first, "entries", lambda rows: [rows[0] | {"created_at": NOW + 2 * SOON}, rows[1]]),
    (
        waiting.nothing_is_offered_that_somebody_has,
        "reservations",
        lambda rows: [row | {"status": "confirmed"} for row in rows],
    ),
    (texting.once_by_text, "texts", lambda rows: [*rows, rows[0] | {"sid": "SM_3"}]),
    (texting.once_by_text, "texts", lambda rows: []),
    (texting.only_to_who_wants_them, "texts", lambda rows: [row | {"to": STRANGER} for row in rows]),
    (
        texting.only_to_who_wants_them,
        "text_calls",
        lambda rows: [row | {"at": (NOW + SOON).timestamp()} for row in rows],
    ),
    (texting.news_are_on_record, "notices", lambda rows: [row | {"delivery_status": "sent"} for row in rows]),
    (
        _of_evidence(checks.nothing_that_nobody_owes),
        "mails",
        lambda rows: [*rows, rows[0] | {"message_id": "<2@example.com>"}],
    ),
    (_of_evidence(checks.moves_are_counted), "changes", lambda rows: rows[:1]),
    (_of_evidence(checks.moves_are_counted), "changes", lambda rows: rows[:-1]),
    (_of_evidence(checks.moves_are_counted), "events", lambda rows: rows[:1]),
    (_of_evidence(checks.moves_are_counted), "bookings", lambda rows: [row | {"invite_sequence": 1} for row in rows]),
    (_of_evidence(checks.money_has_its_slot), "stripe_refunds", lambda rows: []),
    (_of_evidence(checks.money_has_its_slot), "bookings", lambda rows: [row | {"amount": 8900} for row in rows]),
    # The difference: not paid, paid in part, and moved there without one.
    (differences.moved_is_paid_once, "intents", lambda rows: [row | {"status": "canceled"} for row in rows]),
    (differences.moved_is_paid_once, "intents", lambda rows: [row | {"amount_received": 3000} for row in rows]),
    (differences.moved_is_paid_once, "payments", lambda rows: rows[:3]),
    (differences.moved_is_paid_once, "supplements", lambda rows: rows[1:]),
    (
        differences.moved_is_paid_once,
        "events",
        lambda rows: [*rows, _event(PAID, "rescheduled", difference=-3100)],
    ),
    # Late, and nothing or not all of it went back; or it was not late.
    (differences.not_applied_goes_back, "stripe_refunds", lambda rows: rows[:2]),
    (differences.not_applied_goes_back, "stripe_refunds", lambda rows: [row | {"amount": 3000} for row in rows]),
    (differences.not_applied_goes_back, "supplements", lambda rows: [row | {"status": "closed"} for row in rows]),
    (differences.not_applied_goes_back, "supplements", lambda rows: [row | {"lapses_at": NOW} for row in rows]),
    # One difference, or one booking, is paid for twice.
    (differences.nobody_is_charged_twice, "intents", lambda rows: [*rows, _intent("pi_7", DEARER, 3100, MORE)]),
    (differences.nobody_is_charged_twice, "intents", lambda rows: [*rows, _intent("pi_7", DEARER, 8900)]),
    (_of_evidence(checks.money_has_its_slot), "intents", lambda rows: [*rows, _intent("pi_7", DEARER, 3100, LATE)]),
    (
        differences.what_is_over_is_let_go,
        "intents",
        lambda rows: [row | {"status": "requires_payment_method"} for row in rows],
    ),
    (differences.what_is_over_is_let_go, "supplements", lambda rows: [row | {"status": "open"} for row in rows]),
    (
        differences.what_is_over_is_let_go,
        "reservations",
        lambda rows: [row | {"status": "reserved"} for row in rows],
    ),
    (differences.settled_once, "events", lambda rows: [*rows, rows[3]]),
    (differences.settled_once, "events", lambda rows: [*rows, rows[-1]]),
    (differences.settled_once, "events", lambda rows: rows[:3]),
]


@pytest.mark.parametrize(("check", "part", "plant"), PLANTED)
def test_what_is_planted_is_found(check: Check, part: str, plant: Plant) -> None:
    assert list(check(CLEAN, [], CALLER)) == []
    changed: dict[str, Any] = {part: plant(getattr(CLEAN, part))}
    planted = dataclasses.replace(CLEAN, **changed)
    assert list(check(planted, [], CALLER)) != []


@pytest.mark.parametrize(("attempts", "found"), [(1, False), (0, True)])
def test_a_text_that_was_given_up_may_have_been_taken(attempts: int, found: bool) -> None:
    """Its answer was lost, and then its moment had passed; one that was never tried has not come from here."""
    given_up = _notice(TAKEN, "reminder", "sms", status="skipped", attempts=attempts)
    texts = [*CLEAN.texts, CLEAN.texts[0] | {"sid": "SM_3"}]
    planted = dataclasses.replace(CLEAN, texts=texts, notices=[*CLEAN.notices, given_up])
    assert bool(list(texting.once_by_text(planted, [], CALLER))) is found


def _story(kind: Kind, booking: UUID, **told: Any) -> Story:
    """A customer who was told this of the booking."""
    planned = Booking(number=1, kind=kind, at=0, mechanic=0, minute=0)
    opened = {"id": str(booking), "payment": None, "amount": 8900, "mechanic_id": str(MECHANIC)}
    known = {"start": NOW, "email": f"{booking}@example.com", "opened": opened}
    return Story(plan=planned, key=f"1-{booking}", **known | told)


def _due(supplement: UUID, intent: str = "pi_4") -> dict[str, Any]:
    """What a customer was told to pay beside."""
    return {"id": str(supplement), "amount": 3100, "payment_intent_id": intent}


# Which check finds that a customer was told something else: what is so, and what is not.
TOLD: list[tuple[Check, Kind, UUID, dict[str, Any], dict[str, Any]]] = [
    (promises.with_whom_it_was_agreed, Kind.HANDED_OVER, CHEAPER, {"handed_to": str(OTHER)}, {}),
    (promises.acknowledged_survives, Kind.CHEAPER, CHEAPER, {"price": 5000}, {}),
    (promises.acknowledged_survives, Kind.DEARER, DEARER, {"price": 12000}, {}),
    (differences.who_was_asked_to_pay, Kind.DEARER, DEARER, {"difference": _due(MORE)}, {"difference": _due(PAID)}),
    (
        differences.who_was_asked_to_pay,
        Kind.DEARER,
        DEARER,
        {"difference": _due(MORE), "difference_paid": True},
        {"difference": _due(MORE, "pi_7"), "difference_paid": True},
    ),
    (promises.taken_by_exactly_one, Kind.AT_ONCE, TAKEN, {"taken_by": [str(MECHANIC)]}, {"taken_by": [str(OTHER)]}),
    (promises.taken_by_exactly_one, Kind.AT_ONCE, NOT_TAKEN, {}, {"taken_by": [str(MECHANIC)]}),
    (promises.taken_by_exactly_one, Kind.AT_ONCE, TAKEN, {}, {"taken_by": [str(MECHANIC), str(OTHER)]}),
    (promises.the_word_is_kept, Kind.WORD_GIVEN, VISIT, {"word": "confirmed"}, {"word": "declined"}),
    (promises.nothing_begins_unsigned, Kind.WORD_GIVEN, VISIT, {"signed": 1}, {"signed": 2}),
    (
        promises.a_referral_is_good_for_one,
        Kind.BY_REFERRAL,
        VISIT,
        {"referral": "token", "referred_from": str(TAKEN)},
        {"referral": "token", "referred_from": str(PAID)},
    ),
    (waiting.nobody_is_lost_in_line, Kind.WAITED_FOR, PAID, {"entry": str(SECOND)}, {"entry": str(MECHANIC)}),
]


@pytest.mark.parametrize(("check", "kind", "booking", "so", "not_so"), TOLD)
def test_who_was_told_something_else_is_found(
    check: Check, kind: Kind, booking: UUID, so: dict[str, Any], not_so: dict[str, Any]
) -> None:
    assert list(check(CLEAN, [_story(kind, booking, **so)], CALLER)) == []
    assert list(check(CLEAN, [_story(kind, booking, **not_so)], CALLER)) != []


def test_who_has_left_waits_no_more() -> None:
    left = _story(Kind.WAITED_LEFT, LET_PASS, entry=str(FIRST), left=True)
    waits = dataclasses.replace(CLEAN, entries=[row | {"status": "waiting"} for row in CLEAN.entries[:1]])
    assert list(waiting.nobody_is_lost_in_line(CLEAN, [left], CALLER)) == []
    assert list(waiting.nobody_is_lost_in_line(waits, [left], CALLER)) != []
