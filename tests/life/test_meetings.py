"""Whatever can meet at one booking does, in both orders: one outcome, money and slot agree, the audit finds nothing."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

import pytest

from tests.life.conftest import Booked
from tests.life.meeting import Books, ask, held_up, meet
from tests.support.people import Customer, Json, events
from tests.support.shop import Shop
from tests.support.stripe_control import StripeControl
from tests.support.time import Clock

MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
HOLD = 15 * MINUTE
# Who asks for what, of a booking of which so much is left until its start.
Deed = tuple[str, str, Json]
_CANCEL: Deed = ("customer", "cancel", {})
_MECHANIC_CANCELS: Deed = ("mechanic", "cancel", {})
_MOVE: Deed = ("customer", "reschedule", {"start": DAY})
_MOVE_ON: Deed = ("customer", "reschedule", {"start": 2 * DAY})
_MOVE_OF_OLD: Deed = ("customer", "reschedule", {"start": 2 * DAY, "version": True})
_MECHANIC_CANCELS_OLD: Deed = ("mechanic", "cancel", {"version": True})
_CHECK_IN: Deed = ("customer", "check-in", {})
_START: Deed = ("mechanic", "start", {})
_COMPLETE: Deed = ("mechanic", "complete", {})
_MISSED: Deed = ("mechanic", "no-show", {})
# The two, what is left until the start, whether it has been started before; answers, status, what goes back, moves.
PAIRS: dict[str, tuple[Deed, Deed, timedelta, bool, tuple[int, int], str, int, int]] = {
    "cancel, then the mechanic cancels": (
        _CANCEL,
        _MECHANIC_CANCELS,
        5 * HOUR,
        False,
        (200, 200),
        "cancelled",
        4450,
        0,
    ),
    "the mechanic cancels, then cancel": (
        _MECHANIC_CANCELS,
        _CANCEL,
        5 * HOUR,
        False,
        (200, 200),
        "cancelled",
        8900,
        0,
    ),
    "cancel, then move": (_CANCEL, _MOVE, 5 * HOUR, False, (200, 409), "cancelled", 4450, 0),
    "move, then cancel": (_MOVE, _CANCEL, 5 * HOUR, False, (200, 200), "cancelled", 4450, 1),
    "move twice": (_MOVE, _MOVE_ON, 5 * HOUR, False, (200, 200), "confirmed", 0, 2),
    "move, then move from an old page": (_MOVE, _MOVE_OF_OLD, 5 * HOUR, False, (200, 409), "confirmed", 0, 1),
    "move, then the mechanic cancels what it was": (
        _MOVE,
        _MECHANIC_CANCELS_OLD,
        5 * HOUR,
        False,
        (200, 409),
        "confirmed",
        0,
        1,
    ),
    "cancel, then start": (_CANCEL, _START, 10 * MINUTE, False, (200, 409), "cancelled", 0, 0),
    "start, then cancel": (_START, _CANCEL, 10 * MINUTE, False, (200, 409), "in_progress", 0, 0),
    "start, then the mechanic cancels": (
        _START,
        _MECHANIC_CANCELS,
        10 * MINUTE,
        False,
        (200, 409),
        "in_progress",
        0,
        0,
    ),
    "start, then no-show": (_START, _MISSED, -12 * MINUTE, False, (200, 200), "no_show", 0, 0),
    "no-show, then start": (_MISSED, _START, -12 * MINUTE, False, (200, 409), "no_show", 0, 0),
    "no-show, then complete": (_MISSED, _COMPLETE, -12 * MINUTE, True, (200, 409), "no_show", 0, 0),
    "complete, then no-show": (_COMPLETE, _MISSED, -12 * MINUTE, True, (200, 409), "completed", 0, 0),
    "check-in, then no-show": (_CHECK_IN, _MISSED, -12 * MINUTE, False, (200, 409), "confirmed", 0, 0),
    "no-show, then check-in": (_MISSED, _CHECK_IN, -12 * MINUTE, False, (200, 409), "no_show", 0, 0),
    "no-show, then cancel": (_MISSED, _MECHANIC_CANCELS, -12 * MINUTE, False, (200, 409), "no_show", 0, 0),
    "cancel, then no-show": (_MECHANIC_CANCELS, _MISSED, -12 * MINUTE, False, (200, 409), "cancelled", 8900, 0),
}


@pytest.mark.parametrize("pair", PAIRS)
async def test_two_changes(
    pair: str,
    customer: Customer,
    mechanic: Customer,
    shop: Shop,
    booked: Booked,
    clock: Clock,
    database: Any,
    books: Books,
) -> None:
    first, second, left, started, answers, status, back, moves = PAIRS[pair]
    start = shop.start(days=3)
    booking = await booked(start)
    await clock.forward_to(booking, start - left)
    if started:
        assert (await mechanic.ask(booking, "start")).status_code == 200
    people = {"customer": customer, "mechanic": mechanic}
    version = (await customer.read(booking))["version"]

    def acting(deed: Deed) -> Any:
        who, what, sent = deed
        said = {"start": (start + sent["start"]).isoformat()} if "start" in sent else {}
        return ask(people[who], booking, what, **said, **({"version": version} if "version" in sent else {}))

    one, two = await meet(database, booking, acting(first), acting(second))
    assert (one.status_code, two.status_code) == answers, (one.text, two.text)
    read = await customer.read(booking)
    assert (read["status"], read["amount_refunded"]) == (status, back)
    moved = events(read).count("rescheduled")
    assert moved == moves
    await _slot_follows(database, booking, read)
    if status not in ("confirmed", "in_progress"):
        assert (await clock.workflow(booking).result())["status"] == status
        assert [events(read).count(each) for each in ("cancelled", "no_show", "completed")].count(1) == 1
    await books.agree(booking)


async def _slot_follows(database: Any, booking: Json, read: Json) -> None:
    live = await database.fetch(
        "SELECT starts_at FROM slot_reservations WHERE booking_id = $1 AND status IN ('reserved', 'confirmed')",
        booking["id"],
    )
    holds = [each["starts_at"].isoformat().replace("+00:00", "Z") for each in live]
    assert holds == ([] if read["status"] in ("cancelled", "expired", "refunded") else [read["start"]])


# With the payment, and the end of the hold


async def test_a_payment_before_a_cancellation(
    customer: Customer, shop: Shop, clock: Clock, database: Any, books: Books
) -> None:
    """It is confirmed, and then cancelled, by the policy."""
    booking = await customer.book(shop, shop.start(days=3))
    paid, cancelled = await meet(database, booking, lambda: customer.pay(booking), ask(customer, booking, "cancel"))
    assert (paid.status_code, cancelled.status_code) == (200, 200), cancelled.text
    await _is_cancelled(customer, clock, booking, 8900)
    await books.agree(booking)


async def test_a_cancellation_before_a_payment(
    customer: Customer, shop: Shop, clock: Clock, database: Any, books: Books
) -> None:
    """Nobody can pay any more when somebody else is told that it is cancelled."""
    booking = await customer.book(shop, shop.start(days=3))
    cancelled, paid = await meet(database, booking, ask(customer, booking, "cancel"), lambda: customer.pay(booking))
    assert (cancelled.status_code, paid.status_code) == (200, 400), cancelled.text
    await _is_cancelled(customer, clock, booking, 0)
    await books.agree(booking)


@pytest.mark.parametrize("paid", [True, False])
async def test_a_cancellation_while_the_hold_ends(
    paid: bool, customer: Customer, shop: Shop, clock: Clock, stripe: StripeControl, books: Books
) -> None:
    """Stripe is asked whether it was paid, and takes its time; meanwhile the customer has changed their mind."""
    booking = await customer.book(shop, shop.start(days=3))
    await stripe.webhooks("drop", times=None)
    if paid:
        await customer.pay(booking)
    await stripe.fault("cancel", "delay", seconds=5, times=1)
    ending = asyncio.create_task(clock.forward(booking, HOLD + timedelta(seconds=1)))
    await asyncio.sleep(1)
    answer = await customer.ask(booking, "cancel")
    await ending
    assert answer.status_code == 200, answer.text
    await _is_cancelled(customer, clock, booking, 8900 if paid else 0)
    await books.agree(booking)


async def test_the_end_of_the_hold_before_a_cancellation(
    customer: Customer, shop: Shop, clock: Clock, database: Any, books: Books
) -> None:
    """It is expired, and there is nothing to cancel."""
    booking = await customer.book(shop, shop.start(days=3))

    async def end() -> None:
        await clock.forward(booking, HOLD + timedelta(seconds=1))

    _, answer = await meet(database, booking, end, ask(customer, booking, "cancel"))
    assert (answer.status_code, answer.json()["code"]) == (409, "not_cancellable")
    assert (await customer.sees(booking, "expired"))["amount_refunded"] == 0
    await books.agree(booking)


async def _is_cancelled(customer: Customer, clock: Clock, booking: Json, back: int) -> None:
    assert (await clock.workflow(booking).result())["status"] == "cancelled"
    read = await customer.read(booking)
    assert (read["status"], read["amount_refunded"]) == ("cancelled", back)


# With the clock: reminders, and the end


@pytest.mark.parametrize("reminder_first", [True, False])
async def test_a_reminder_and_a_move(
    reminder_first: bool,
    customer: Customer,
    shop: Shop,
    booked: Booked,
    clock: Clock,
    database: Any,
    books: Books,
) -> None:
    """The reminder is at the door when the booking moves: it goes out before, or not at all."""
    start = shop.start(days=3)
    booking = await booked(start)
    await clock.forward_to(booking, start - 25 * HOUR)
    move = ask(customer, booking, "reschedule", start=(start + DAY).isoformat())

    async def remind() -> None:
        await clock.forward_to(booking, start - 24 * HOUR)

    if reminder_first:
        await remind()
        await customer.waits_for(booking, lambda read: events(read).count("mail_sent") == 2, "the reminder")
        assert (await move()).status_code == 200
    else:
        async with held_up(database, booking) as are_waiting:
            moving = asyncio.ensure_future(move())
            await are_waiting(1)
        assert (await moving).status_code == 200
        await remind()
    await customer.waits_for(booking, lambda read: events(read).count("mail_sent") == 2 + reminder_first, "Moved")
    subjects = await customer.subjects()
    assert subjects == ["Confirmed", *(["Reminder"] if reminder_first else []), "Moved"]
    await books.agree(booking)


@pytest.mark.parametrize(("what", "late"), [("start", 409), ("complete", 200), ("no-show", 409), ("check-in", 409)])
async def test_the_closing_of_a_session_before_a_change(
    what: str,
    late: int,
    customer: Customer,
    mechanic: Customer,
    shop: Shop,
    booked: Booked,
    clock: Clock,
    database: Any,
    books: Books,
) -> None:
    """The time is over and it is being closed: a session that was started is complete, and nothing else can be done."""
    start = shop.start(days=3)
    booking = await booked(start)
    await clock.forward_to(booking, start)
    if what == "complete":
        assert (await mechanic.ask(booking, "start")).status_code == 200
    end = start + shop.duration
    await clock.forward_to(booking, end + 29 * MINUTE)
    who = customer if what == "check-in" else mechanic

    async def closes() -> None:
        await clock.forward_to(booking, end + 31 * MINUTE)

    _, answer = await meet(database, booking, closes, ask(who, booking, what))
    assert answer.status_code == late, answer.text
    assert (await clock.workflow(booking).result())["status"] == "completed"
    await books.agree(booking)


@pytest.mark.parametrize(
    ("what", "status"), [("start", "completed"), ("complete", "completed"), ("no-show", "no_show")]
)
async def test_a_change_before_the_closing_of_a_session(
    what: str,
    status: str,
    mechanic: Customer,
    shop: Shop,
    booked: Booked,
    clock: Clock,
    books: Books,
) -> None:
    start = shop.start(days=3)
    booking = await booked(start)
    await clock.forward_to(booking, start)
    if what == "complete":
        assert (await mechanic.ask(booking, "start")).status_code == 200
    await clock.forward_to(booking, start + shop.duration + 29 * MINUTE)
    assert (await mechanic.ask(booking, what)).status_code == 200
    assert (await clock.to_the_end(booking) if what == "start" else await clock.workflow(booking).result())[
        "status"
    ] == status
    await books.agree(booking)


async def test_a_no_show_while_its_refund_is_tried_again(
    mechanic: Customer,
    customer: Customer,
    shop: Shop,
    booked: Booked,
    clock: Clock,
    stripe: StripeControl,
    books: Books,
) -> None:
    """Asked for again and again while Stripe is away: one refund, of what the policy says."""
    start = shop.start(days=3)
    booking = await booked(start)
    await clock.forward_to(booking, start + 12 * MINUTE)
    away = await stripe.fault("refund", "error_500", times=None)
    for _ in range(2):
        answer = await mechanic.ask(booking, "no-show", absent="mechanic")
        assert (answer.status_code, answer.json()["amount_awaiting_refund"]) == (200, 8900), answer.text
    assert (await mechanic.ask(booking, "cancel")).status_code == 409
    await stripe.remove(away)
    await clock.workflow(booking).result()
    read = await customer.read(booking)
    assert (read["amount_refunded"], events(read).count("refund_issued")) == (8900, 1)
    await books.agree(booking)


# With others who want the same time


Wanted = Callable[[], Awaitable[Any]]


@pytest.mark.parametrize("move_first", [True, False])
@pytest.mark.parametrize("of", ["the new time", "the old time"])
async def test_a_move_and_a_rival(
    of: str,
    move_first: bool,
    customer: Customer,
    rival: Customer,
    shop: Shop,
    booked: Booked,
    database: Any,
    books: Books,
) -> None:
    """Who asks for a time that a booking moves to, or leaves, in that moment: nobody shares it, and none is lost."""
    start = shop.start(days=3)
    booking, target = await booked(start), start + DAY
    wanted = target if of == "the new time" else start

    async def move() -> Any:
        await asyncio.sleep(0 if move_first else 0.05)
        return await customer.ask(booking, "reschedule", start=target.isoformat())

    async def hold() -> Any:
        await asyncio.sleep(0.05 if move_first else 0)
        return await rival.post(rival.request(shop, wanted))

    moved, held = await asyncio.gather(move(), hold())
    assert moved.status_code in (200, 409), moved.text
    assert held.status_code in (201, 409), held.text
    if of == "the new time":
        assert {moved.status_code == 200, held.status_code == 201} == {True, False}
    else:
        assert moved.status_code == 200
    read = await customer.read(booking)
    assert read["start"] == (target if moved.status_code == 200 else start).isoformat().replace("+00:00", "Z")
    await books.agree(booking, *([held.json()] if held.status_code == 201 else []))


async def test_two_bookings_that_want_one_time(
    customer: Customer, rival: Customer, shop: Shop, booked: Booked, books: Books
) -> None:
    starts = [shop.start(days=3), shop.start(days=4)]
    bookings = [await booked(starts[0]), await booked(starts[1], rival)]
    wanted = (starts[0] + 3 * HOUR).isoformat()
    answers = await asyncio.gather(
        customer.ask(bookings[0], "reschedule", start=wanted), rival.ask(bookings[1], "reschedule", start=wanted)
    )
    assert sorted(answer.status_code for answer in answers) == [200, 409], [answer.text for answer in answers]
    await books.agree(*bookings)


@pytest.mark.parametrize("time_off_first", [True, False])
async def test_a_move_into_time_that_is_taken_off(
    time_off_first: bool, customer: Customer, mechanic: Customer, shop: Shop, booked: Booked, books: Books
) -> None:
    """Either the move is refused, or the mechanic is told of the booking that is there."""
    start = shop.start(days=3)
    booking, target = await booked(start), start + DAY
    path = f"{mechanic.api_url}/v1/mechanics/{shop.mechanic_id}/time-off"
    off = {"start": target.isoformat(), "end": (target + HOUR).isoformat()}

    async def move() -> Any:
        await asyncio.sleep(0.05 if time_off_first else 0)
        return await customer.ask(booking, "reschedule", start=target.isoformat())

    async def leave() -> Any:
        await asyncio.sleep(0 if time_off_first else 0.05)
        return await mechanic.http.post(path, json=off, headers=mechanic.headers)

    moved, left = await asyncio.gather(move(), leave())
    assert left.status_code == 201, left.text
    told = booking["id"] in left.text
    assert (moved.status_code == 200) == told, (moved.text, left.text)
    if not told:
        assert (moved.status_code, moved.json()["code"]) == (422, "slot_not_offered")
    await books.agree(booking)
