"""What comes free is held for the first in line, who pays for it or lets it pass; then the next is asked."""

from datetime import timedelta
from typing import Any

import pytest

from tests.support.histories import replays
from tests.support.people import Customer, events
from tests.support.time import Clock
from tests.waitlist.conftest import OFFER, Crowd, Day, join, offered, offers_of, read, sees, settled

Pool = Any
A_BIT = timedelta(minutes=1)


async def test_the_first_in_line_gets_what_comes_free(full: Day, crowd: Crowd, clock: Clock, database: Pool) -> None:
    first, second = await crowd(2)
    entry, later = await join(first, full), await join(second, full)
    assert (entry["status"], entry["position"], later["position"]) == ("waiting", 1, 2)
    assert (await full.owner.ask(full.booking, "cancel")).status_code == 200
    booking = await offered(first, entry)
    assert booking["start"] == full.booking["start"]
    assert await first.subjects() == ["A"], "it is told by mail"
    assert booking["id"] in (await first.mails())[0]["text"]
    assert (await second.post(second.request(full.shop, full.start))).status_code == 409, "it is held"
    await first.pay(booking)
    confirmed = await first.sees(booking, "confirmed", "mail_sent")
    assert events(confirmed).count("confirmed") == 1
    assert (await read(first, entry))["status"] == "fulfilled"
    assert (await read(second, later))["position"] == 1
    assert len(await offers_of(database, full.shop)) == 1
    await replays(clock.workflow(booking), "waitlist_paid", "offered from the waitlist and paid for")


async def test_who_lets_it_pass_goes_to_the_end(full: Day, crowd: Crowd, clock: Clock, database: Pool) -> None:
    first, second = await crowd(2)
    entry, later = await join(first, full), await join(second, full)
    await full.owner.ask(full.booking, "cancel")
    booking = await offered(first, entry)
    await clock.forward(booking, OFFER + A_BIT)
    await first.sees(booking, "expired")
    next_one = await offered(second, later)
    missed = await read(first, entry)
    assert (missed["status"], missed["missed"], missed["misses_left"]) == ("waiting", 1, 2)
    assert (await read(second, later))["position"] == 1, "the first is behind the second now"
    await second.pay(next_one)
    await second.sees(next_one, "confirmed")
    assert (await read(first, entry))["position"] == 1
    await replays(clock.workflow(booking), "waitlist_missed", "offered from the waitlist and let pass")


async def test_an_offer_lasts_as_long_as_is_set(full: Day, customer: Customer, clock: Clock) -> None:
    entry = await join(customer, full)
    await full.owner.ask(full.booking, "cancel")
    booking = await offered(customer, entry)
    await clock.forward(booking, OFFER - A_BIT)
    assert (await customer.read(booking))["status"] == "awaiting_payment"
    await customer.pay(booking)
    await customer.sees(booking, "confirmed")


async def test_who_declines_keeps_its_place_and_is_not_asked_for_it_again(
    full: Day, crowd: Crowd, database: Pool
) -> None:
    first, second = await crowd(2)
    entry, later = await join(first, full), await join(second, full)
    await full.owner.ask(full.booking, "cancel")
    booking = await offered(first, entry)
    assert (await first.ask(booking, "cancel")).status_code == 200
    await offered(second, later)
    declined = await read(first, entry)
    assert (declined["status"], declined["position"], declined["missed"]) == ("waiting", 1, 1)
    assert len(await offers_of(database, full.shop)) == 2


@pytest.mark.parametrize(("who", "becomes"), [("customer", ("closed", 3)), ("operator", ("waiting", 2))])
async def test_who_declines_too_often_is_in_nobodys_way(
    full: Day, crowd: Crowd, operator: Customer, database: Pool, who: str, becomes: tuple[str, int]
) -> None:
    """What an operator ends is not held against the customer."""
    [first] = await crowd(1)
    entry = await join(first, full)
    await database.execute("UPDATE waitlist_entries SET missed = 2 WHERE id = $1", entry["id"])
    await full.owner.ask(full.booking, "cancel")
    booking = await offered(first, entry)
    caller = {"customer": first, "operator": operator}[who]
    assert (await caller.ask(booking, "cancel")).status_code == 200
    after = await sees(first, entry, becomes[0])
    assert after["missed"] == becomes[1]


async def test_one_that_may_let_pass_no_more_is_closed(
    full: Day, customer: Customer, clock: Clock, database: Pool
) -> None:
    entry = await join(customer, full)
    await database.execute("UPDATE waitlist_entries SET missed = 2 WHERE id = $1", entry["id"])
    await full.owner.ask(full.booking, "cancel")
    booking = await offered(customer, entry)
    await clock.forward(booking, OFFER + A_BIT)
    await sees(customer, entry, "closed")
    await settled(database, full.shop)
    assert len(await offers_of(database, full.shop)) == 1


async def test_unpaid_offers_are_held_against_nobody(
    full: Day, customer: Customer, clock: Clock, database: Pool
) -> None:
    entry = await join(customer, full)
    await full.owner.ask(full.booking, "cancel")
    booking = await offered(customer, entry)
    counted = "SELECT count(*) FROM hold_origins WHERE booking_id = $1"
    assert await database.fetchval(counted, booking["id"]) == 0
    await clock.forward(booking, OFFER + A_BIT)
    await customer.sees(booking, "expired")
    assert await database.fetchval(counted, booking["id"]) == 0


async def test_the_mail_of_an_offer_is_sent_again_while_it_can_be_paid(
    full: Day, customer: Customer, operator: Customer, clock: Clock
) -> None:
    """It had been refused for good; the time to pay stays as it is."""
    fault = {"kind": "reject_5xx", "to": customer.email, "times": 1}
    await customer.http.post(f"{customer.stack.mail_url}/api/faults", json=fault)
    entry = await join(customer, full)
    await full.owner.ask(full.booking, "cancel")
    booking = {"id": (await sees(customer, entry, "offered"))["offer"]["booking_id"]}
    await customer.sees(booking, "awaiting_payment", "mail_not_sent")
    await clock.forward(booking, OFFER - 2 * A_BIT)
    answer = await operator.ask(booking, "notices/resend", key=f"{booking['id']}/waitlist_offer")
    assert answer.status_code == 202, answer.text
    await customer.sees(booking, "awaiting_payment", "mail_sent")
    assert await customer.subjects() == ["A"]
    await clock.forward(booking, 3 * A_BIT)
    await customer.sees(booking, "expired")
    await replays(clock.workflow(booking), "waitlist_told_again", "offered from the waitlist, its mail sent again")
