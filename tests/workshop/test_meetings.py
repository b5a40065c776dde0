"""Where two meet, either may come first; one outcome, and money, bay and word agree."""

import asyncio
from datetime import timedelta
from typing import Any

from tests.support.histories import replays
from tests.support.people import Customer, Json, events
from tests.support.time import Clock
from tests.workshop.conftest import MINUTES, Booked, Yard
from tests.workshop.test_words import held, says


async def settled(customer: Customer, booking: Json) -> Json:
    """The booking once nothing is owed any more."""

    def done(read: Json) -> bool:
        return bool(read["amount_awaiting_refund"] == 0 and read["workshop_status"] not in ("awaiting", "proposed"))

    return await customer.waits_for(booking, done, "an outcome")


async def agree(database: Any, read: Json) -> None:
    """A booking that stands has its bay, and all of its money; one that has ended neither."""
    if read["status"] == "confirmed":
        assert (read["workshop_status"], read["amount_refunded"]) == ("confirmed", 0)
        assert await held(database, read) == [("confirmed", False)]
    else:
        assert (read["status"], read["amount_refunded"]) == ("cancelled", 8900)
        assert await held(database, read) == []


async def test_its_yes_and_the_end_of_its_period(
    customer: Customer, keeper: Customer, yard: Yard, booked: Booked, clock: Clock, database: Any
) -> None:
    first = await booked(yard.shop.start(days=3))
    await clock.forward(first, timedelta(minutes=MINUTES - 1))
    assert (await says(keeper, first, "confirm"))["workshop_status"] == "confirmed"
    await clock.forward(first, timedelta(minutes=2))
    await agree(database, await settled(customer, first))
    second = await booked(yard.shop.start(days=4))
    await asyncio.gather(
        clock.forward(second, timedelta(minutes=MINUTES)),
        keeper.ask(second, "workshop/confirm"),
        return_exceptions=True,
    )
    await agree(database, await settled(customer, second))


async def test_its_yes_and_the_customers_cancellation(
    customer: Customer, keeper: Customer, yard: Yard, booked: Booked, database: Any
) -> None:
    """Far ahead: the customer gets all back either way."""
    for number, order in enumerate(("yes first", "cancel first", "at once", "at once")):
        booking = await booked(yard.shop.start(days=5, hours=2 * number))
        asks = [keeper.ask(booking, "workshop/confirm"), customer.ask(booking, "cancel")]
        if order == "at once":
            yes, cancel = await asyncio.gather(*asks)
        elif order == "yes first":
            yes, cancel = await asks[0], await asks[1]
        else:
            cancel, yes = await asks[1], await asks[0]
        assert cancel.status_code == 200, cancel.text
        assert yes.status_code == 200 or yes.json()["code"] == "not_awaited", yes.text
        await agree(database, await customer.sees(booking, "cancelled", "refund_issued"))


async def test_two_keepers_at_once(
    customer: Customer, keeper: Customer, operator: Customer, yard: Yard, booked: Booked, database: Any
) -> None:
    """One word counts; the other is told so."""
    for number in range(3):
        booking = await booked(yard.shop.start(days=6, hours=2 * number))
        answers = await asyncio.gather(
            keeper.ask(booking, "workshop/confirm"),
            operator.ask(booking, "workshop/decline"),
            keeper.ask(booking, "workshop/confirm"),
        )
        assert {answer.status_code for answer in answers} <= {200, 409}
        read = await settled(customer, booking)
        assert events(read).count("workshop_confirmed") + events(read).count("workshop_declined") == 1
        await agree(database, read)


async def test_a_proposed_time_and_somebody_elses_hold(
    customer: Customer, rival: Customer, keeper: Customer, yard: Yard, booked: Booked, database: Any
) -> None:
    """With one bay: whoever comes first has it, and the other is refused."""
    await database.execute("UPDATE bays SET active = FALSE WHERE workshop_id = $1 AND name = '1'", yard.id)
    for number in range(4):
        booking = await booked(yard.shop.start(days=8, hours=6 * number))
        wanted = yard.shop.start(days=8, hours=6 * number + 3)
        proposed, taken = await asyncio.gather(
            keeper.ask(booking, "workshop/propose", options=[{"start": wanted.isoformat()}]),
            rival.post(rival.request(yard.shop, wanted, mechanic_id=str(yard.keeper_id))),
        )
        assert {proposed.status_code, taken.status_code} <= {200, 201, 409}, (proposed.text, taken.text)
        assert (proposed.status_code == 200) != (taken.status_code == 201), (proposed.text, taken.text)
        if proposed.status_code == 200:
            accepted = await customer.ask(booking, "proposal/accept", start=wanted.isoformat())
            assert (accepted.status_code, accepted.json()["workshop_status"]) == (200, "confirmed"), accepted.text
        assert (await customer.ask(booking, "cancel")).status_code == 200
        if taken.status_code == 201:
            assert (await rival.ask(taken.json(), "cancel")).status_code == 200


async def test_without_the_hold_a_proposed_time_can_be_lost(
    customer: Customer, rival: Customer, keeper: Customer, yard: Yard, booked: Booked, database: Any
) -> None:
    """The control: let go by hand, it is anybody's, and the customer's yes comes to nothing."""
    booking = await booked(yard.shop.start(days=3))
    wanted = yard.shop.start(days=3, hours=4)
    await says(keeper, booking, "propose", options=[{"start": wanted.isoformat()}])
    await database.execute(
        "UPDATE slot_reservations SET status = 'cancelled' WHERE booking_id = $1 AND proposal_id IS NOT NULL",
        booking["id"],
    )
    await rival.book(yard.shop, wanted)
    answer = await customer.ask(booking, "proposal/accept", start=wanted.isoformat())
    assert (answer.status_code, answer.json()["code"]) == (409, "slot_unavailable")


async def test_a_yes_and_a_no_to_what_is_proposed(
    customer: Customer, keeper: Customer, yard: Yard, booked: Booked, clock: Clock, database: Any
) -> None:
    for number in range(3):
        booking = await booked(yard.shop.start(days=4, hours=4 * number))
        wanted = yard.shop.start(days=9, hours=4 * number).isoformat()
        await says(keeper, booking, "propose", options=[{"start": wanted}])
        answers = await asyncio.gather(
            customer.ask(booking, "proposal/accept", start=wanted),
            customer.ask(booking, "proposal/decline"),
            keeper.ask(booking, "workshop/confirm"),
        )
        assert {answer.status_code for answer in answers} <= {200, 409}, [answer.text for answer in answers]
        await agree(database, await settled(customer, booking))
        assert (
            await database.fetchval(
                "SELECT count(*) FROM proposals WHERE booking_id = $1 AND status = 'open'", booking["id"]
            )
            == 0
        )
    booking = await booked(yard.shop.start(days=5))
    wanted = yard.shop.start(days=10).isoformat()
    await says(keeper, booking, "propose", options=[{"start": wanted}])
    assert (await customer.ask(booking, "proposal/decline")).status_code == 200
    await clock.workflow(booking).result()
    await replays(clock.workflow(booking), "workshop_proposal_declined", "its workshop's other time declined, refunded")
