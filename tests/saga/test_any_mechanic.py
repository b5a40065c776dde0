"""Any mechanic would do: who gets the booking, and that nobody is refused while somebody is free."""

import asyncio
from collections import Counter
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from temporalio.client import Client

from pitstop.contracts import names
from pitstop.devstack.stackfile import Stack
from tests.support.people import Customer, Issuer
from tests.support.rows import add_booking, add_reservation
from tests.support.shop import Shop, add_mechanic, open_workshop

_MECHANIC = """
INSERT INTO mechanics (id, name, timezone, country, city, postal_code, address, minimum_notice_minutes)
VALUES ($1, 'Ana Lima', 'America/Toronto', $2, $3, $4, '1 Rua', 0)
"""


async def _another(
    database: Any, shop: Shop, country: str = "CA", city: str = "Toronto", code: str = "M5V 1A1"
) -> UUID:
    mechanic = uuid4()
    async with database.acquire() as connection:
        await connection.execute(_MECHANIC, mechanic, country, city, code)
        await add_mechanic(connection, shop, mechanic)
    return mechanic


async def _any(customer: Customer, shop: Shop, start: datetime, **location: str) -> httpx.Response:
    body = customer.request(shop, start) | {"mechanic_id": None}
    body["location"] = body["location"] | location
    key = str(uuid4())
    # On a busy machine the one or the other is told to ask again.
    for _ in range(5):
        answer = await customer.post(body, key)
        if answer.status_code != 503:
            break
    return answer


async def _who(customer: Customer, shop: Shop, start: datetime, **location: str) -> UUID:
    answer = await _any(customer, shop, start, **location)
    assert answer.status_code == 201, answer.text
    return UUID(answer.json()["mechanic_id"])


async def test_the_nearest_is_chosen(customer: Customer, shop: Shop, database: Any) -> None:
    """The same postal area goes before the same city, that before the country, and that before everybody else."""
    await database.execute(
        "UPDATE mechanics SET country = 'US', city = 'Boston', postal_code = '02108' WHERE id = $1", shop.mechanic_id
    )
    country = await _another(database, shop, city="Ottawa", code="K1P 1J1")
    city = await _another(database, shop, code="M1B 2C3")
    area = await _another(database, shop, code="m4c5b6")
    chosen = [await _who(customer, shop, shop.start(), postal_code="M4C 9Z9") for _ in range(4)]
    assert chosen == [area, city, country, shop.mechanic_id]


async def test_of_equals_the_least_booked_that_week_then_the_longest_unbooked(
    customer: Customer, shop: Shop, database: Any
) -> None:
    second, third = await _another(database, shop), await _another(database, shop)
    start = shop.start(days=10)
    monday = (start - timedelta(days=start.weekday())).replace(hour=15, minute=0)
    busy = await add_booking(database, shop, monday + timedelta(days=2))
    await add_reservation(database, busy, "confirmed")
    other_week = await add_booking(database, shop, monday + timedelta(days=14))
    await add_reservation(database, other_week, "confirmed")
    await database.execute(
        "UPDATE slot_reservations SET mechanic_id = $2 WHERE booking_id = $1", other_week.booking_id, second
    )
    # The shop's own mechanic has an hour that week; the second was booked lately, for another week; the third never.
    at = monday + timedelta(days=3)
    assert [await _who(customer, shop, at) for _ in range(3)] == [third, second, shop.mechanic_id]


async def test_nobody_is_refused_while_somebody_is_free(
    stack: Stack, issuer: Issuer, shop: Shop, database: Any, temporal: Client
) -> None:
    """Twelve at once for six mechanics: each mechanic is booked once, and the others hear that it is full."""
    mechanics = {shop.mechanic_id, *[await _another(database, shop) for _ in range(5)]}
    crowd = await asyncio.gather(*(issuer.customer(stack.api_url) for _ in range(12)))
    answers = await asyncio.gather(*(_any(customer, shop, shop.start()) for customer in crowd))
    counted = Counter(answer.status_code for answer in answers)
    assert counted == {201: 6, 409: 6}, [answer.text for answer in answers]
    held = {UUID(answer.json()["id"]): answer.json()["mechanic_id"] for answer in answers if answer.status_code == 201}
    assert set(map(UUID, held.values())) == mechanics
    rows = "SELECT booking_id, mechanic_id FROM slot_reservations WHERE booking_id = ANY($1) AND status = 'reserved'"
    assert {row["booking_id"]: str(row["mechanic_id"]) for row in await database.fetch(rows, list(held))} == held
    for booking, mechanic in held.items():
        run = await temporal.get_workflow_handle(names.booking_workflow_id(booking)).describe()
        assert run.typed_search_attributes[names.MECHANIC_ID] == mechanic, "operators see who got it"


async def test_who_wants_a_certain_mechanic_gets_no_other(customer: Customer, shop: Shop, database: Any) -> None:
    await _another(database, shop)
    await customer.book(shop, shop.start())
    assert (await customer.post(customer.request(shop, shop.start()))).status_code == 409


async def test_in_person_nobody_is_sent_to_another_city(customer: Customer, shop: Shop, database: Any) -> None:
    await database.execute("UPDATE services SET kind = 'in_person' WHERE id = $1", shop.service_id)
    await open_workshop(database, 1, shop.mechanic_id)
    answer = await _any(customer, shop, shop.start(), city="Ottawa", postal_code="K1P 1J1")
    assert (answer.status_code, answer.json()["code"]) == (422, "slot_not_offered")
    assert answer.json()["errors"][0]["field"] == "body.location"
    assert await _who(customer, shop, shop.start()) == shop.mechanic_id


@pytest.mark.parametrize("bays", [1, 2])
async def test_in_person_takes_a_bay_or_nothing(
    stack: Stack, issuer: Issuer, shop: Shop, database: Any, http: httpx.AsyncClient, bays: int
) -> None:
    """Three mechanics share the bays of a workshop, at one moment."""
    await database.execute("UPDATE services SET kind = 'in_person' WHERE id = $1", shop.service_id)
    mechanics = [shop.mechanic_id, await _another(database, shop), await _another(database, shop)]
    workshop = await open_workshop(database, bays, *mechanics)
    crowd = await asyncio.gather(*(issuer.customer(stack.api_url) for _ in range(6)))
    answers = await asyncio.gather(*(_any(customer, shop, shop.start()) for customer in crowd))
    assert Counter(answer.status_code for answer in answers) == {201: bays, 409: 6 - bays}
    rows = await database.fetch(
        "SELECT r.bay_id FROM slot_reservations AS r JOIN bays ON bays.id = r.bay_id"
        " WHERE bays.workshop_id = $1 AND r.status = 'reserved'",
        workshop,
    )
    assert len({row["bay_id"] for row in rows}) == len(rows) == bays
    verdicts = [
        await http.post(
            f"{stack.api_url}/v1/availability/check",
            json={
                "mechanic_id": str(mechanic),
                "service_id": str(shop.service_id),
                "start": shop.start().isoformat(),
            },
        )
        for mechanic in mechanics
    ]
    assert {verdict.json()["reason"] for verdict in verdicts} == {"taken"}


async def test_a_late_payment_finds_its_bay_again_or_is_refunded(
    customer: Customer, issuer: Issuer, stack: Stack, shop: Shop, database: Any, clock: Any
) -> None:
    """The hold had gone; another mechanic of the workshop has got the only bay meanwhile."""
    await database.execute("UPDATE services SET kind = 'in_person' WHERE id = $1", shop.service_id)
    other = await _another(database, shop)
    await open_workshop(database, 1, shop.mechanic_id, other)
    booking = await customer.book(shop, shop.start())
    lapse = "UPDATE slot_reservations SET expires_at = now() - interval '1 second' WHERE booking_id = $1"
    await database.execute(lapse, UUID(booking["id"]))
    rival = await issuer.customer(stack.api_url)
    answer = await rival.post(rival.request(shop, shop.start()) | {"mechanic_id": str(other)})
    assert answer.status_code == 201, answer.text
    await customer.pay(booking)
    assert (await customer.sees(booking, "refunded"))["amount_refunded"] == shop.amount


async def test_the_address_is_the_workshops(customer: Customer, shop: Shop, database: Any) -> None:
    await database.execute("UPDATE services SET kind = 'in_person' WHERE id = $1", shop.service_id)
    await open_workshop(database, 1, shop.mechanic_id)
    booking = await customer.book(shop, shop.start())
    await customer.pay(booking)
    await customer.sees(booking, "confirmed", "mail_sent")
    [mail] = await customer.mails()
    assert "5 Yard Lane" in str(mail)
