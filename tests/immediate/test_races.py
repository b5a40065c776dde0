"""What can meet an acceptance meets it, in both orders: one outcome, and money, session and calendar agree."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import pytest

from pitstop.devstack.stackfile import Stack
from pitstop.domain.caller import Role
from pitstop.domain.changes import ChangeOutcome, ChangeRefusal
from pitstop.domain.course import Course
from pitstop.domain.saga import Terms
from pitstop.postgres import offers, steps
from pitstop.postgres.asking import Asked
from pitstop.postgres.changes import PostgresChanges
from pitstop.postgres.pool import Pool, open_pool
from pitstop.postgres.saga import PostgresSaga
from tests.immediate.conftest import MINUTE, Crew, Wanted, at_once, goes, is_offered
from tests.support.crossing import Crossing, in_order
from tests.support.people import Customer, Json, events
from tests.support.shop import Shop
from tests.support.time import Clock

OFFER = "INSERT INTO session_offers (booking_id, mechanic_id, distance, offered_at) VALUES ($1, $2, 0, now())"
COURSE = Course((), timedelta(minutes=15))
Decision = Callable[[], Awaitable[ChangeOutcome]]
FIRST_AND_SECOND = pytest.mark.parametrize("accepts_first", [True, False])


@pytest.fixture
async def pool(stack: Stack) -> AsyncIterator[Pool]:
    """As the worker has it."""
    async with open_pool(stack.worker_database_url, 4, "test") as pool:
        yield pool


@dataclass(frozen=True, slots=True)
class Desk:
    """A paid booking of nobody's, whose run does not stand in the way: what is done to it is done by the steps."""

    database: Any
    pool: Pool
    booking_id: UUID

    async def asks(self, kind: str, role: str, subject: UUID) -> UUID:
        """A change on record: its row wants the booking's row for a moment, so it is there before others wait."""
        change = uuid4()
        await self.database.execute(
            "INSERT INTO booking_changes (id, booking_id, kind, asked_by_role, asked_by) VALUES ($1, $2, $3, $4, $5)",
            change,
            self.booking_id,
            kind,
            role,
            str(subject),
        )
        return change

    async def acceptance(self, mechanic: Customer) -> Decision:
        return self.decision(await self.asks("accept", "mechanic", mechanic.id))

    async def cancellation(self) -> Decision:
        return self.decision(await self.asks("cancel", "operator", uuid4()))

    def decision(self, change: UUID) -> Decision:
        async def decide() -> ChangeOutcome:
            return await PostgresChanges(self.pool).apply(self.booking_id, change, COURSE, datetime.now(UTC))

        return decide

    async def lapse(self) -> Terms | None:
        """The clock says that the time is over."""
        over = datetime.now(UTC) + 11 * MINUTE
        return await PostgresChanges(self.pool).offer(self.booking_id, COURSE, over)

    async def state(self) -> tuple[str, int, int]:
        """Status, live reservations, and what goes back."""
        row = await self.database.fetchrow(
            "SELECT status, (SELECT count(*) FROM slot_reservations AS r WHERE r.booking_id = b.id AND r.status ="
            " 'confirmed') AS held, COALESCE((SELECT sum(amount) FROM refunds AS r WHERE r.booking_id = b.id), 0) AS"
            " back FROM bookings AS b WHERE id = $1",
            self.booking_id,
        )
        return row["status"], row["held"], int(row["back"])


@pytest.fixture
async def desk(wanted: Wanted, clock: Clock, database: Any, pool: Pool) -> Desk:
    booking = await wanted()
    await clock.workflow(booking).terminate()
    return Desk(database, pool, UUID(booking["id"]))


async def test_one_of_many_at_once_gets_it(
    customer: Customer, mechanic: Customer, crew: Crew, wanted: Wanted, database: Any
) -> None:
    crowd = [mechanic, *[await crew.hire() for _ in range(5)]]
    booking = await wanted()
    answers = await asyncio.gather(*(each.ask(booking, "accept") for each in crowd))
    outcomes = [(answer.status_code, answer.json().get("code")) for answer in answers]
    assert sorted(outcomes, key=str) == [(200, None)] + [(409, "already_taken")] * 5
    winner = crowd[outcomes.index((200, None))]
    read = await customer.read(booking)
    assert read["mechanic_id"] == str(winner.id)
    assert events(read).count("in_progress") == 1
    assert await database.fetchval("SELECT count(*) FROM slot_reservations WHERE booking_id = $1", booking["id"]) == 1


async def test_accept_meets_accept(desk: Desk, mechanic: Customer, crew: Crew, database: Any) -> None:
    other = await crew.hire()
    await database.execute(OFFER, desk.booking_id, other.id)
    acts = [await desk.acceptance(other), await desk.acceptance(mechanic)]
    first, second = await in_order(database, desk.booking_id, *acts)
    assert (first.refusal, second.refusal) == (None, ChangeRefusal.ALREADY_TAKEN)
    assert await desk.state() == ("in_progress", 1, 0)


@FIRST_AND_SECOND
async def test_accept_meets_cancel(desk: Desk, mechanic: Customer, database: Any, accepts_first: bool) -> None:
    acts = [await desk.acceptance(mechanic), await desk.cancellation()]
    first, second = await in_order(database, desk.booking_id, *(acts if accepts_first else reversed(acts)))
    assert first.refusal is None
    if accepts_first:
        assert second.refusal is ChangeRefusal.NOT_CANCELLABLE
        assert await desk.state() == ("in_progress", 1, 0)
    else:
        assert second.refusal is ChangeRefusal.NOT_ON_OFFER
        assert await desk.state() == ("cancelled", 0, 8900)


@FIRST_AND_SECOND
async def test_accept_meets_the_end_of_the_time(
    desk: Desk, mechanic: Customer, database: Any, accepts_first: bool
) -> None:
    acts: list[Callable[[], Awaitable[Any]]] = [await desk.acceptance(mechanic), desk.lapse]
    answers = await in_order(database, desk.booking_id, *(acts if accepts_first else reversed(acts)))
    accepted, terms = answers if accepts_first else reversed(answers)
    if accepts_first:
        assert (accepted.refusal, terms.status) == (None, "in_progress")
        assert await desk.state() == ("in_progress", 1, 0)
    else:
        assert (accepted.refusal, terms.status) == (ChangeRefusal.NOT_ON_OFFER, "refunded")
        assert await desk.state() == ("refunded", 0, 8900)


async def test_accept_meets_an_operators_stop(desk: Desk, mechanic: Customer, database: Any, pool: Pool) -> None:
    """The run is cancelled in the engine, and undoes what there is."""

    async def call_off() -> Any:
        return await PostgresSaga(pool).call_off(desk.booking_id, True, "called_off", datetime.now(UTC))

    _, accepted = await in_order(database, desk.booking_id, call_off, await desk.acceptance(mechanic))
    assert accepted.refusal is ChangeRefusal.NOT_ON_OFFER
    assert await desk.state() == ("cancelled", 0, 8900)


async def test_the_end_of_the_time_comes_once(desk: Desk, database: Any) -> None:
    """A try that was given up for lost is still at it when the next one begins."""
    await in_order(database, desk.booking_id, desk.lapse, desk.lapse)
    assert await desk.state() == ("refunded", 0, 8900)
    told = await database.fetchval(
        "SELECT count(*) FROM notifications WHERE booking_id = $1 AND kind = 'not_taken'", desk.booking_id
    )
    assert told == 1


@FIRST_AND_SECOND
async def test_accept_meets_going_offline(
    mechanic: Customer, wanted: Wanted, database: Any, accepts_first: bool
) -> None:
    """Both want the mechanic's own row: who comes second sees what the first has done."""
    booking = await wanted()
    acts: list[Callable[[], Awaitable[Any]]] = [
        lambda: mechanic.ask(booking, "accept"),
        lambda: goes(mechanic, online=False),
    ]
    async with database.acquire() as connection, connection.transaction():
        await connection.execute("SELECT FROM mechanics WHERE id = $1 FOR NO KEY UPDATE", mechanic.id)
        meeting = Crossing(database, connection, await connection.fetchval("SELECT pg_backend_pid()"))
        begun = []
        for act in acts if accepts_first else reversed(acts):
            begun.append(asyncio.ensure_future(act()))
            await meeting.comes()
    answers = await asyncio.gather(*begun)
    accepted = answers[0] if accepts_first else answers[1]
    assert accepted.status_code == (200 if accepts_first else 409), accepted.text
    if not accepts_first:
        assert accepted.json()["code"] == "not_on_offer"


@FIRST_AND_SECOND
async def test_accept_meets_a_coming_booking(
    customer: Customer,
    rival: Customer,
    mechanic: Customer,
    shop: Shop,
    wanted: Wanted,
    database: Any,
    accepts_first: bool,
) -> None:
    """Somebody books the mechanic's next hour as the mechanic takes the session: one of the two has the time."""
    booking = await wanted()
    coming = rival.request(shop, shop.start(days=0, hours=1))
    acts: list[Callable[[], Awaitable[Any]]] = [
        lambda: mechanic.ask(booking, "accept"),
        lambda: rival.post(coming),
    ]
    async with database.acquire() as connection, connection.transaction():
        await connection.execute("SELECT FROM mechanics WHERE id = $1 FOR NO KEY UPDATE", mechanic.id)
        meeting = Crossing(database, connection, await connection.fetchval("SELECT pg_backend_pid()"))
        begun = []
        for act in acts if accepts_first else reversed(acts):
            begun.append(asyncio.ensure_future(act()))
            await meeting.comes()
    answers = await asyncio.gather(*begun)
    accepted, booked = answers if accepts_first else reversed(answers)
    if accepts_first:
        assert (accepted.status_code, booked.status_code) == (200, 409), (accepted.text, booked.text)
    else:
        assert (accepted.status_code, booked.status_code) == (409, 201), (accepted.text, booked.text)
        assert accepted.json()["code"] == "slot_unavailable"
        assert (await customer.read(booking))["status"] == "pending", "it stays open for the others"
        assert await is_offered(booking, mechanic) == [True]


async def test_a_hold_that_has_run_out_is_in_nobodys_way(
    mechanic: Customer, rival: Customer, shop: Shop, wanted: Wanted, database: Any
) -> None:
    booking = await wanted()
    coming = await rival.book(shop, shop.start(days=0, hours=1))
    assert (await mechanic.ask(booking, "accept")).json()["code"] == "slot_unavailable"
    await database.execute("UPDATE slot_reservations SET expires_at = now() WHERE booking_id = $1", coming["id"])
    assert (await mechanic.ask(booking, "accept")).status_code == 200


async def test_without_the_lock_the_constraints_are_left(
    desk: Desk, mechanic: Customer, crew: Crew, pool: Pool, database: Any
) -> None:
    """A control: one who looked before another had it goes on to take it, and the database's own guards refuse that."""
    other = await crew.hire()
    await database.execute(OFFER, desk.booking_id, other.id)
    async with pool.acquire() as connection:
        seen = await steps.lock(connection, desk.booking_id)
    assert seen is not None
    first = await desk.acceptance(mechanic)
    assert (await first()).refusal is None
    change = await desk.asks("accept", "mechanic", other.id)
    async with pool.acquire() as connection, connection.transaction():
        asked = Asked(connection, seen, Role.MECHANIC, {}, COURSE, datetime.now(UTC), change)
        await offers._require_open(asked, other.id)
        with pytest.raises(asyncpg.UniqueViolationError, match="one_mechanic_takes_it"):
            await offers._take(asked, other.id)


async def test_the_worker_is_away_past_the_time(
    customer: Customer, mechanic: Customer, shop: Shop, wanted: Wanted, clock: Clock
) -> None:
    """An acceptance that reaches the run after its time is refused by the run's clock; the money goes back once."""
    booking: Json = await wanted()
    await clock.forward(booking, 10 * MINUTE)
    refused = await mechanic.ask(booking, "accept")
    assert (refused.status_code, refused.json()["code"]) == (409, "not_on_offer")
    read = await customer.sees(booking, "refunded", "refund_issued")
    assert events(read).count("refund_issued") == 1
    assert (await customer.post(at_once(customer, shop))).status_code == 201
