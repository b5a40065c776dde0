"""Workshops and bays through the API: who may, what is in the way, and what holds at the same moment."""

import asyncio
from datetime import timedelta
from typing import Any
from uuid import uuid4

import asyncpg
import httpx
import pytest

from tests.support.people import Customer, Json
from tests.support.shops import hire
from tests.workshop.conftest import Booked, Yard

SHEET: Json = {
    "name": "South",
    "country": "CA",
    "city": "Toronto",
    "postal_code": "M5V 2T6",
    "address": "7 Yard Lane",
    "timezone": "America/Toronto",
    "email": "south@example.com",
    "confirms_within_minutes": 240,
}


async def send(who: Customer, method: str, path: str, body: Json) -> httpx.Response:
    return await who.http.request(method, f"{who.api_url}/v1{path}", json=body, headers=who.headers)


async def test_an_operator_opens_one_and_its_keeper_keeps_it(
    operator: Customer, keeper: Customer, mechanic: Customer, customer: Customer, yard: Yard, database: Any
) -> None:
    opened = await send(operator, "POST", "/workshops", SHEET)
    assert opened.status_code == 201, opened.text
    id = opened.json()["id"]
    assert opened.headers["location"] == f"/v1/workshops/{id}"
    for nobody, code in ((keeper, 403), (customer, 403)):
        assert (await send(nobody, "POST", "/workshops", SHEET)).status_code == code
    mine, other = f"/workshops/{yard.id}", f"/workshops/{id}"
    changed = await send(keeper, "PUT", mine, SHEET | {"name": "North 2", "confirms_within_minutes": None})
    assert (changed.status_code, changed.json()["confirms_within_minutes"]) == (200, None), changed.text
    assert {each["keeps_workshop"] for each in changed.json()["mechanics"]} == {True, False}
    for who, path in ((keeper, other), (mechanic, mine)):
        assert (await send(who, "PUT", path, SHEET)).status_code == 404
    assert (await send(operator, "PUT", mine, SHEET | {"timezone": "America/Nowhere"})).status_code == 422
    assert (await customer.get(f"/v1{mine}")).status_code == 403
    listed = await keeper.get("/v1/workshops", limit=1)
    assert (listed.status_code, len(listed.json()["items"])) == (200, 1)
    actions = await database.fetch(
        "SELECT action FROM audit_log WHERE object_id = $1 AND outcome = 'done' ORDER BY id", str(yard.id)
    )
    assert [row["action"] for row in actions] == ["workshop.set"]


async def test_mechanics_are_assigned_by_operators_only(
    operator: Customer, keeper: Customer, yard: Yard, booked: Booked, database: Any
) -> None:
    newcomer = await hire(database, yard.shop, "Noa Roy")
    wanted = {"workshop_id": str(yard.id), "keeps_workshop": True}
    assert (await send(keeper, "PUT", f"/mechanics/{newcomer}/workshop", wanted)).status_code == 403
    assigned = await send(operator, "PUT", f"/mechanics/{newcomer}/workshop", wanted)
    assert (assigned.status_code, assigned.json()["keeps_workshop"]) == (200, True), assigned.text
    booking = await booked()
    gone = await send(operator, "PUT", f"/mechanics/{yard.shop.mechanic_id}/workshop", {"workshop_id": None})
    assert [each["booking_id"] for each in gone.json()["conflicts"]] == [booking["id"]]
    nowhere = await send(operator, "PUT", f"/mechanics/{newcomer}/workshop", {"workshop_id": str(uuid4())})
    assert nowhere.status_code == 422
    for unknown in (str(uuid4()),):
        assert (await send(operator, "PUT", f"/mechanics/{unknown}/workshop", wanted)).status_code == 404


async def test_a_mechanic_cannot_make_itself_the_keeper(yard: Yard, as_own_api: Any) -> None:
    """Even with a query of its own: the columns are not the API's to write, and the function asks who is there."""
    async with as_own_api("mechanic", str(yard.shop.mechanic_id)) as connection:
        assert (
            await connection.fetchval("SELECT assign_to_workshop($1, $2, TRUE)", yard.shop.mechanic_id, yard.id) is None
        )
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await connection.execute("UPDATE mechanics SET keeps_workshop = TRUE")


async def test_a_bay_out_of_use_keeps_what_is_booked(
    customer: Customer, rival: Customer, keeper: Customer, yard: Yard, booked: Booked
) -> None:
    added = await send(keeper, "POST", f"/workshops/{yard.id}/bays", {"name": "3"})
    assert added.status_code == 201, added.text
    again = await send(keeper, "POST", f"/workshops/{yard.id}/bays", {"name": "3"})
    assert (again.status_code, again.json()["code"]) == (409, "name_taken")
    booking = await booked()
    bays = (await keeper.get(f"/v1/workshops/{yard.id}")).json()["bays"]
    in_the_way: list[str] = []
    for bay in bays:
        path = f"/workshops/{yard.id}/bays/{bay['id']}"
        off = await send(keeper, "PUT", path, {"name": bay["name"], "active": False})
        assert off.status_code == 200, off.text
        in_the_way += [each["booking_id"] for each in off.json()["conflicts"]]
    assert in_the_way == [booking["id"]]
    assert (await customer.read(booking))["status"] == "confirmed"
    refused = await rival.post(rival.request(yard.shop, yard.shop.start(days=4)))
    assert refused.status_code == 422
    strange = await send(keeper, "PUT", f"/workshops/{yard.id}/bays/{uuid4()}", {"name": "x", "active": True})
    assert strange.status_code == 404


async def test_a_bay_goes_out_of_use_as_it_is_booked(
    customer: Customer, keeper: Customer, yard: Yard, database: Any
) -> None:
    """Whichever comes first: either nothing is held there, or the answer names what is."""
    bays = [
        row["id"] for row in await database.fetch("SELECT id FROM bays WHERE workshop_id = $1 ORDER BY name", yard.id)
    ]
    await database.execute("UPDATE bays SET active = FALSE WHERE id = $1", bays[1])
    path = f"/workshops/{yard.id}/bays/{bays[0]}"
    for number in range(6):
        start = yard.shop.start(days=3, hours=2 * number)
        await database.execute("UPDATE bays SET active = TRUE WHERE id = $1", bays[0])
        held, off = await asyncio.gather(
            customer.post(customer.request(yard.shop, start)),
            send(keeper, "PUT", path, {"name": "first", "active": False}),
        )
        assert off.status_code == 200, off.text
        assert held.status_code in (201, 409, 422), held.text
        named = {each["booking_id"] for each in off.json()["conflicts"]}
        assert held.status_code != 201 or held.json()["id"] in named, "held, and nobody was told"


async def test_a_keeper_sees_its_workshop_and_nothing_else(
    customer: Customer, keeper: Customer, mechanic: Customer, yard: Yard, booked: Booked, database: Any
) -> None:
    there = await booked()
    await database.execute("UPDATE services SET kind = 'video' WHERE id = $1", yard.shop.service_id)
    online = await booked(yard.shop.start(days=4))
    assert (await keeper.get(f"/v1/bookings/{there['id']}")).status_code == 200
    assert (await keeper.get(f"/v1/bookings/{online['id']}")).status_code == 404
    listed = (await keeper.get("/v1/bookings")).json()["items"]
    assert [each["id"] for each in listed] == [there["id"]]
    await database.execute("UPDATE mechanics SET keeps_workshop = FALSE WHERE id = $1", yard.keeper_id)
    assert (await keeper.get(f"/v1/bookings/{there['id']}")).status_code == 404


async def test_a_keeper_asks_no_more_than_the_workshops_word(
    keeper: Customer, mechanic: Customer, customer: Customer, booked: Booked
) -> None:
    booking = await booked()
    for what in ("cancel", "check-in", "start", "complete", "no-show"):
        answer = await keeper.ask(booking, what)
        assert (answer.status_code, answer.json()["code"]) == (403, "forbidden"), what
    for what in ("confirm", "decline"):
        assert (await mechanic.ask(booking, f"workshop/{what}")).status_code == 403
        assert (await customer.ask(booking, f"workshop/{what}")).status_code == 403


async def test_its_dashboard(
    customer: Customer, keeper: Customer, mechanic: Customer, operator: Customer, yard: Yard, booked: Booked
) -> None:
    start = yard.shop.start(days=2)
    first = await booked(start)
    second = await booked(start, mechanic_id=str(yard.keeper_id))
    assert (await keeper.ask(first, "workshop/confirm")).status_code == 200
    assert (await keeper.ask(second, "cancel")).status_code == 200
    path = f"/v1/workshops/{yard.id}/dashboard"
    query = {
        "from": (start - timedelta(days=1)).date().isoformat(),
        "to": (start + timedelta(days=1)).date().isoformat(),
    }
    for who in (keeper, operator):
        answer = await who.get(path, **query)
        assert answer.status_code == 200, answer.text
        seen = answer.json()
        states = {each["booking_id"]: (each["status"], each["workshop_status"]) for each in seen["bookings"]}
        assert states[first["id"]] == ("confirmed", "confirmed")
        assert states[second["id"]] == ("cancelled", None), "nobody has to answer any more"
        assert seen["waiting"] == []
        assert (seen["from"], seen["timezone"], len(seen["days"])) == (query["from"], "America/Toronto", 3)
        assert sum(day["bookings"] for day in seen["days"]) == 2
        assert sum(day["cancelled"] for day in seen["days"]) == 1
        assert sorted(bay["booked_minutes"] for bay in seen["bays"]) == [0, 60]
        assert {bay["open_minutes"] for bay in seen["bays"]} == {3 * 24 * 60}
        assert seen["referrals"] == {"made": 0, "booked": 0}
    third = await booked(start + timedelta(hours=3))
    waiting = (await keeper.get(path)).json()["waiting"]
    assert [each["booking_id"] for each in waiting] == [third["id"]]
    assert (await mechanic.get(path)).status_code == 404
    for day in ("0001-01-01", "9999-12-31"):
        refused = await keeper.get(path, **{"from": day, "to": day})
        assert (refused.status_code, refused.json()["code"]) == (422, "invalid_request"), refused.text
    assert (await customer.get(path)).status_code == 403
    assert (await keeper.get(path, **{"from": "2026-12-02", "to": "2026-12-01"})).status_code == 422
