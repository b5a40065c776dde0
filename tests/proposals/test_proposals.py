"""A mechanic or an operator proposes other times; the customer takes one, or none."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.life.conftest import Booked
from tests.mechanics.conftest import Desk, desk
from tests.support.histories import replays
from tests.support.people import Customer, Json, events
from tests.support.shop import Shop
from tests.support.time import Clock

__all__ = ["desk"]
DAY = timedelta(days=1)
HOUR = timedelta(hours=1)


async def propose(who: Customer, booking: Json, *options: datetime, **more: Any) -> Json:
    answer = await who.ask(booking, "propose", options=[{"start": each.isoformat()} for each in options], **more)
    assert answer.status_code == 200, answer.text
    proposed: Json = answer.json()
    return proposed


def starts(booking: Json) -> list[datetime]:
    return [datetime.fromisoformat(option["start"]) for option in booking["proposal"]["options"]]


async def accept(who: Customer, booking: Json, start: datetime, **more: Any) -> Any:
    return await who.ask(booking, "proposal/accept", start=start.isoformat(), **more)


async def test_a_mechanics_move_is_a_proposal(
    customer: Customer, mechanic: Customer, shop: Shop, booked: Booked, clock: Clock, database: Any
) -> None:
    start = shop.start(days=3)
    booking = await booked(start)
    wanted = start + DAY
    answer = await mechanic.ask(booking, "reschedule", start=wanted.isoformat(), reason="I am ill.")
    assert answer.status_code == 200, answer.text
    assert (answer.json()["start"], starts(answer.json())) == (booking["start"], [wanted])
    read = await customer.waits_for(booking, lambda read: events(read).count("mail_sent") == 2, "the mail")
    assert await customer.subjects() == ["Confirmed", "Another"]
    assert read["proposal"]["proposed_by"] == "mechanic"

    taken = await accept(customer, booking, wanted)
    assert taken.status_code == 200, taken.text
    moved = taken.json()
    assert (datetime.fromisoformat(moved["start"]), moved["proposal"]) == (wanted, None)
    row = await database.fetchrow("SELECT * FROM bookings WHERE id = $1", booking["id"])
    assert (row["customer_moves"], row["refund_percent_at_most"], row["moves"]) == (0, 100, 1)
    assert await database.fetchval("SELECT status FROM proposals WHERE booking_id = $1", booking["id"]) == "accepted"
    again = await accept(customer, booking, wanted)
    assert (again.status_code, again.json()["code"]) == (409, "no_proposal")
    assert (await clock.to_the_end(booking))["status"] == "completed"
    assert "Moved" in await customer.subjects()
    await replays(clock.workflow(booking), "proposal_accepted", "its mechanic proposed another time, which was taken")


async def test_the_customers_limits_do_not_count(
    customer: Customer, operator: Customer, other: Customer, shop: Shop, booked: Booked, clock: Clock, database: Any
) -> None:
    """An hour before the start a customer may not move any more, but may take what is proposed; all goes back later."""
    start = shop.start(days=3)
    booking = await booked(start)
    await clock.forward_to(booking, start - HOUR)
    option = {"start": (start + DAY).isoformat(), "mechanic_id": str(other.id)}
    proposed = await operator.ask(booking, "propose", options=[option])
    assert proposed.status_code == 200, proposed.text
    taken = await customer.ask(booking, "proposal/accept", **option)
    assert (taken.status_code, taken.json()["mechanic_id"]) == (200, str(other.id)), taken.text
    cancelled = await customer.ask(booking, "cancel")
    assert cancelled.json()["amount_refunded"] == 8900


async def test_an_option_that_has_gone_leaves_the_others(
    customer: Customer, rival: Customer, mechanic: Customer, shop: Shop, booked: Booked, database: Any
) -> None:
    start = shop.start(days=3)
    booking = await booked(start)
    await propose(mechanic, booking, start + DAY, start + 2 * DAY)
    await rival.book(shop, start + DAY)
    before = await database.fetchrow("SELECT * FROM bookings WHERE id = $1", booking["id"])
    gone = await accept(customer, booking, start + DAY)
    assert (gone.status_code, gone.json()["code"]) == (409, "slot_unavailable")
    unknown = await accept(customer, booking, start + 3 * DAY)
    assert (unknown.status_code, unknown.json()["code"]) == (409, "no_proposal")
    assert await database.fetchrow("SELECT * FROM bookings WHERE id = $1", booking["id"]) == before
    assert len(starts(await customer.read(booking))) == 2
    assert (await accept(customer, booking, start + 2 * DAY)).status_code == 200


async def test_declined(
    customer: Customer, mechanic: Customer, desk: Desk, shop: Shop, booked: Booked, clock: Clock, operator: Customer
) -> None:
    start = shop.start(days=3)
    booking = await booked(start)
    await desk.away(start, start + HOUR)
    await propose(mechanic, booking, start + 2 * DAY)
    seen = (await customer.read(booking))["proposal"]["id"]
    await propose(mechanic, booking, start + DAY)
    late = await customer.ask(booking, "proposal/decline", proposal_id=seen)
    assert (late.status_code, late.json()["code"]) == (409, "no_proposal"), "another has taken its place"
    current = (await customer.read(booking))["proposal"]["id"]
    declined = await customer.ask(booking, "proposal/decline", proposal_id=current)
    assert (declined.status_code, declined.json()["proposal"]) == (200, None), declined.text
    # It stays flagged, for an operator.
    assert [flag["reason"] for flag in declined.json()["flags"]] == ["time_off"]
    assert (await customer.ask(booking, "proposal/decline")).json()["code"] == "no_proposal"
    assert (await accept(customer, booking, start + DAY)).json()["code"] == "no_proposal"
    assert (await operator.ask(booking, "cancel")).json()["amount_refunded"] == 8900
    await clock.workflow(booking).result()
    await replays(clock.workflow(booking), "proposal_declined", "proposed times were declined, an operator cancelled")


async def test_it_lapses_by_the_runs_own_clock(
    customer: Customer, mechanic: Customer, shop: Shop, booked: Booked, clock: Clock, database: Any
) -> None:
    start = shop.start(days=3)
    booking = await booked(start)
    await propose(mechanic, booking, start + DAY, expires_in_minutes=90)
    await clock.forward(booking, timedelta(minutes=89))
    assert (await customer.read(booking))["proposal"] is not None
    await clock.forward(booking, timedelta(minutes=2))
    read = await customer.waits_for(booking, lambda read: "proposal_lapsed" in events(read), "the end of the proposal")
    assert (read["status"], read["proposal"], read["start"]) == ("confirmed", None, booking["start"])
    late = await accept(customer, booking, start + DAY)
    assert (late.status_code, late.json()["code"]) == (409, "no_proposal")
    assert (await clock.to_the_end(booking))["status"] == "completed"
    await replays(clock.workflow(booking), "proposal_lapsed", "nobody answered the proposed times; completed as booked")


async def test_a_new_one_takes_the_place_of_the_one_before(
    customer: Customer, mechanic: Customer, operator: Customer, shop: Shop, booked: Booked, database: Any
) -> None:
    start = shop.start(days=3)
    booking = await booked(start)
    await propose(mechanic, booking, start + DAY)
    assert starts(await propose(operator, booking, start + 2 * DAY)) == [start + 2 * DAY]
    assert (await accept(customer, booking, start + DAY)).json()["code"] == "no_proposal"
    rows = await database.fetch("SELECT status FROM proposals WHERE booking_id = $1", booking["id"])
    assert sorted(row["status"] for row in rows) == ["open", "replaced"]


@pytest.mark.parametrize("what", ["reschedule", "cancel", "hand-over", "start", "end"])
async def test_what_closes_it(
    customer: Customer,
    mechanic: Customer,
    other: Customer,
    shop: Shop,
    booked: Booked,
    clock: Clock,
    database: Any,
    what: str,
) -> None:
    """And whoever accepts after that is told so: the other order of accept and that."""
    start = shop.start(days=3)
    booking = await booked(start)
    if what in ("start", "end"):
        await clock.forward_to(booking, start - timedelta(minutes=10))
    await propose(mechanic, booking, start + DAY, start + 2 * DAY)
    wanted = {
        "reschedule": (customer, {"start": (start + 3 * DAY).isoformat()}),
        "cancel": (customer, {}),
        "hand-over": (mechanic, {"mechanic_id": str(other.id)}),
        "start": (mechanic, {}),
    }
    if what == "end":
        assert (await clock.to_the_end(booking))["status"] == "completed"
    else:
        who, sent = wanted[what]
        assert (await who.ask(booking, what, **sent)).status_code == 200
    status = await database.fetchval("SELECT status FROM proposals WHERE booking_id = $1", booking["id"])
    assert status == ("lapsed" if what == "end" else "closed")
    late = await accept(customer, booking, start + DAY)
    assert (late.status_code, late.json()["code"]) in [(409, "no_proposal"), (409, "not_reschedulable")]


@pytest.mark.parametrize("what", ["reschedule", "cancel"])
async def test_after_it_was_taken(
    customer: Customer, mechanic: Customer, shop: Shop, booked: Booked, what: str
) -> None:
    start = shop.start(days=3)
    booking = await booked(start)
    await propose(mechanic, booking, start + DAY)
    assert (await accept(customer, booking, start + DAY)).status_code == 200
    sent = {"start": start.isoformat()} if what == "reschedule" else {}
    answer = await customer.ask(booking, what, **sent)
    assert answer.status_code == 200, answer.text
    if what == "cancel":
        assert answer.json()["amount_refunded"] == 8900


async def test_accepting_and_cancelling_at_once_is_one_outcome(
    customer: Customer, mechanic: Customer, rival: Customer, shop: Shop, booked: Booked
) -> None:
    start = shop.start(days=3)
    booking = await booked(start)
    await propose(mechanic, booking, start + DAY)
    taken, cancelled = await asyncio.gather(accept(customer, booking, start + DAY), customer.ask(booking, "cancel"))
    assert cancelled.status_code == 200, cancelled.text
    assert taken.status_code in (200, 409), taken.text
    read = await customer.read(booking)
    assert (read["status"], read["amount_refunded"], read["proposal"]) == ("cancelled", 8900, None)
    for free in (start, start + DAY):
        await rival.book(shop, free)


async def test_who_may(
    customer: Customer,
    rival: Customer,
    mechanic: Customer,
    other: Customer,
    operator: Customer,
    shop: Shop,
    booked: Booked,
) -> None:
    start = shop.start(days=3)
    booking = await booked(start)
    option = {"start": (start + DAY).isoformat()}
    cases = [(customer, 403), (rival, 403), (other, 404), (mechanic, 200), (operator, 200)]
    for who, status in cases:
        answer = await who.ask(booking, "propose", options=[option])
        assert answer.status_code == status, answer.text
    for who, status in [(mechanic, 403), (operator, 403), (rival, 404), (customer, 200)]:
        assert (await who.ask(booking, "proposal/accept", **option)).status_code == status


async def test_what_cannot_be_proposed(
    mechanic: Customer, rival: Customer, shop: Shop, booked: Booked, database: Any
) -> None:
    start = shop.start(days=3)
    booking = await booked(start)
    await rival.book(shop, start + DAY)
    cases: list[tuple[list[datetime], int, str]] = [
        ([start + DAY], 409, "slot_unavailable"),
        ([start + 2 * DAY, start + 300 * DAY], 422, "slot_not_offered"),
        ([datetime.max.replace(tzinfo=UTC)], 422, "slot_not_offered"),
        ([start], 422, "slot_not_offered"),
        ([], 422, "invalid_request"),
        ([start + n * DAY for n in range(2, 8)], 422, "invalid_request"),
    ]
    for options, status, code in cases:
        answer = await mechanic.ask(booking, "propose", options=[{"start": each.isoformat()} for each in options])
        assert (answer.status_code, answer.json()["code"]) == (status, code), answer.text
    assert await database.fetchval("SELECT count(*) FROM proposals WHERE booking_id = $1", booking["id"]) == 0
