"""Who comes first to the waitlist, and what meets it on its way: in both orders, and with each guard taken away."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import timedelta
from typing import Any
from uuid import UUID

import asyncpg
import pytest

from pitstop.devstack.stackfile import Stack
from pitstop.domain.changes import ChangeRefusal
from pitstop.domain.course import Course
from pitstop.domain.waitlist import Offer
from pitstop.postgres.changes import PostgresChanges
from tests.waitlist.line import LASTS, Line, Open, lines, moment

Pool = Any
Remove = Callable[[Pool], Awaitable[None]]


@pytest.fixture
async def make(stack: Stack) -> AsyncIterator[Open]:
    async with lines(stack) as opened:
        yield opened


async def _next(line: Line) -> Offer | None:
    return await line.store.next_offer([], LASTS, moment())


async def _serve_all(line: Line, count: int = 3) -> list[tuple[str, int]]:
    made = await asyncio.gather(*(line.serve() for _ in range(count)))
    return [each for served in made for each in served]


async def test_one_slot_and_two_who_wait(make: Open) -> None:
    line = await make(1)
    first, second = await line.join("first"), await line.join("second")
    await line.free(0)
    assert await line.serve() == [("first", 0)]
    assert await line.offer_of(first)
    assert await line.offer_of(second) is None


async def test_two_slots_at_once_and_one_who_waits(make: Open) -> None:
    line = await make(2)
    entry = await line.join("only")
    await asyncio.gather(line.free(0), line.free(1))
    assert len(await line.serve()) == 1
    booking = await line.offer_of(entry)
    assert booking
    taken = (await line.offers())[0][1]
    await line.decline(booking)
    assert await line.serve() == [("only", 1 - taken)], "what came free meanwhile was nobody else's"


async def test_served_several_times_at_once(make: Open) -> None:
    line = await make(2)
    for name in ("first", "second", "third"):
        await line.join(name)
    await asyncio.gather(line.free(0), line.free(1))
    await _serve_all(line)
    offers = await line.offers()
    assert sorted(line.names[entry] for entry, _ in offers) == ["first", "second"]
    assert sorted(slot for _, slot in offers) == [0, 1]


async def _without_lock(database: Pool) -> None:
    """A lock that locks nothing: it has this database's name for it, and nobody waits for it."""
    await database.execute(
        "CREATE SCHEMA loose;"
        " CREATE FUNCTION loose.pg_advisory_xact_lock(bigint) RETURNS void LANGUAGE sql AS 'SELECT';"
        " GRANT USAGE ON SCHEMA loose TO pitstop_worker;"
        " ALTER ROLE pitstop_worker IN DATABASE " + await database.fetchval("SELECT current_database()") + " SET"
        " search_path = loose, pg_catalog, public"
    )


async def _slow_offers(database: Pool) -> None:
    """Whoever opens an offer takes its time, so that the others look at the same moment."""
    await database.execute(
        "CREATE FUNCTION take_time() RETURNS trigger LANGUAGE plpgsql AS"
        " $$ BEGIN PERFORM pg_sleep(0.3); RETURN NEW; END $$;"
        " CREATE TRIGGER slow BEFORE INSERT ON bookings FOR EACH ROW EXECUTE FUNCTION take_time()"
    )


async def _blind_to_offers(database: Pool) -> None:
    """The search does not see what is being offered at that moment, and holds nothing yet."""
    source = await database.fetchval("SELECT pg_get_functiondef('first_fit'::regproc)")
    guard = "b.status = 'holding' AND b.hold_expires_at IS NULL"
    assert guard in source
    await database.execute(source.replace(guard, "FALSE"))


@pytest.mark.parametrize(
    ("removed", "offers"),
    [([], 1), ([_without_lock], 1), ([_blind_to_offers], 1), ([_without_lock, _blind_to_offers], 2)],
)
async def test_one_slot_is_offered_once(make: Open, removed: list[Remove], offers: int) -> None:
    """Two guards, of which either would do: without both, a second entry is offered what the first is being offered."""
    line = await make(1)
    await line.join("first")
    await line.join("second")
    await line.free(0)
    await _slow_offers(line.database)
    for remove in removed:
        await remove(line.database)
    await asyncio.gather(_next(line), _next(line), _next(line))
    made = await line.database.fetchval("SELECT count(*) FROM bookings WHERE waitlist_entry_id IS NOT NULL")
    assert made == offers


async def test_nobody_has_two_offers(make: Open) -> None:
    """The index is the last guard: without it, a second offer could be written by hand."""
    line = await make(2)
    entry = await line.join("only")
    await line.free(0)
    await line.serve()
    second = (
        "INSERT INTO bookings (SELECT (jsonb_populate_record(b, jsonb_build_object('id', gen_random_uuid()))).*"
        " FROM bookings AS b WHERE waitlist_entry_id = $1)"
    )
    with pytest.raises(asyncpg.UniqueViolationError, match="one_open_offer_of_an_entry"):
        await line.database.execute(second, entry)
    await line.database.execute("DROP INDEX one_open_offer_of_an_entry")
    await line.database.execute(second, entry)


@pytest.mark.parametrize("held_first", [False, True])
async def test_somebody_books_the_slot(make: Open, held_first: bool) -> None:
    """In both orders: whoever holds it has it, and who was too late is still first in line."""
    line = await make(2)
    entry = await line.join("only")
    await line.free(0)
    offer = await _next(line)
    assert offer is not None
    if held_first:
        assert await line.hold(offer)
        with pytest.raises(asyncpg.ExclusionViolationError):
            await line.book(0)
        return
    await line.book(0)
    assert not await line.hold(offer)
    assert await line.serve() == []
    await line.free(1)
    assert await line.serve() == [("only", 1)]
    assert await line.status(entry) == "waiting"


async def test_stopped_between_finding_and_holding(make: Open) -> None:
    """Whoever comes next goes on with the same offer."""
    line = await make(1)
    await line.join("first")
    await line.join("second")
    await line.free(0)
    found = await _next(line)
    again = await _next(line)
    assert found is not None
    assert again == found
    assert await line.serve() == [("first", 0)]
    assert len(await line.offers()) == 1


async def test_an_offer_that_was_forgotten_is_made_again(make: Open) -> None:
    """Found, and never held, for so long that the sweep has removed its booking."""
    line = await make(1)
    await line.join("first")
    await line.free(0)
    found = await _next(line)
    assert found is not None
    assert await line.saga.forget_requests(moment() + LASTS) == 1
    again = await _next(line)
    assert again is not None
    assert again.standing.booking_id != found.standing.booking_id, "an id is never used twice: its run has ended"
    assert await line.serve() == [("first", 0)]


@pytest.mark.parametrize("left_first", [True, False])
async def test_who_waits_leaves(make: Open, left_first: bool) -> None:
    line = await make(1)
    first, second = await line.join("first"), await line.join("second")
    leave = "UPDATE waitlist_entries SET status = 'left' WHERE id = $1"
    if left_first:
        await line.database.execute(leave, first)
        await line.free(0)
        assert await line.serve() == [("second", 0)]
        return
    await line.free(0)
    await line.serve()
    booking = await line.offer_of(first)
    assert booking
    await line.database.execute(leave, first)
    await line.miss(booking)
    assert await line.serve() == [("second", 0)]
    assert await line.status(first) == "left", "its offer's end brings it back into no line"
    assert await line.offer_of(second)


async def test_who_leaves_while_its_offer_is_being_found(make: Open) -> None:
    """The entry is locked by whoever leaves: the search waits, and then asks the next."""
    line = await make(1)
    first = await line.join("first")
    await line.join("second")
    await line.free(0)
    async with line.database.acquire() as connection, connection.transaction():
        await connection.execute("UPDATE waitlist_entries SET status = 'left' WHERE id = $1", first)
        serving = asyncio.create_task(line.serve())
        await asyncio.sleep(0.3)
        assert not serving.done()
    assert await serving == [("second", 0)]


@pytest.mark.parametrize("paid_first", [True, False])
async def test_paid_and_expired_meet(make: Open, paid_first: bool) -> None:
    line = await make(1)
    entry, next_one = await line.join("first"), await line.join("next")
    await line.free(0)
    await line.serve()
    booking = await line.offer_of(entry)
    assert booking
    if paid_first:
        await line.pay(booking)
        # What is paid stays so: the step finds it elsewhere, and lets go of nothing.
        await line.miss(booking)
    else:
        await line.miss(booking)
        await line.pay(booking)
    await line.serve()
    assert await line.status(entry) == ("fulfilled" if paid_first else "waiting")
    assert bool(await line.offer_of(next_one)) is not paid_first


async def test_an_offer_that_is_over_tells_nobody(make: Open) -> None:
    line = await make(1)
    entry = await line.join("only")
    await line.free(0)
    await line.serve()
    told = "SELECT status FROM notifications WHERE booking_id = $1 AND kind = 'waitlist_offer'"
    booking = await line.offer_of(entry)
    assert booking
    assert await line.database.fetchval(told, booking) == "pending"
    await line.miss(booking)
    assert await line.database.fetchval(told, booking) == "skipped"


async def test_what_stripe_refuses_leaves_nothing(make: Open) -> None:
    """The slot was held, the PaymentIntent could not be had: booking, hold and mail go, the entry keeps its place."""
    line = await make(1)
    entry = await line.join("only")
    await line.free(0)
    offer = await _next(line)
    assert offer is not None
    id, now = offer.standing.booking_id, moment()
    times = (now, now + LASTS, now + LASTS)
    assert (await line.saga.place_hold(id, offer.standing.fingerprint, UUID(int=1), *times)).terms
    assert await line.saga.withdraw(id, offer.standing.fingerprint)
    assert await line.database.fetchval("SELECT count(*) FROM notifications WHERE booking_id = $1", id) == 0
    assert await line.serve() == [("only", 0)]
    assert await line.status(entry) == "waiting"


_GIVE_BACK = """
INSERT INTO booking_changes (id, booking_id, kind, asked_by_role, asked_by, wanted)
VALUES (gen_random_uuid(), $1, 'cancel', 'customer', 'somebody', '{"unpaid": true}') RETURNING id
"""


@pytest.mark.parametrize(("paid_first", "becomes"), [(True, "confirmed"), (False, "cancelled")])
async def test_who_leaves_and_has_paid_meanwhile_keeps_it(make: Open, paid_first: bool, becomes: str) -> None:
    """Leaving gives back what is offered; it cancels nothing that its customer has."""
    line = await make(1)
    entry = await line.join("first")
    await line.free(0)
    await line.serve()
    booking = await line.offer_of(entry)
    assert booking
    if paid_first:
        await line.pay(booking)
    given_back = await line.database.fetchval(_GIVE_BACK, booking)
    outcome = await PostgresChanges(line.saga._pool).apply(booking, given_back, Course((), timedelta()), moment())
    assert outcome.refusal == (ChangeRefusal.NOT_CANCELLABLE if paid_first else None)
    assert await line.database.fetchval("SELECT status FROM bookings WHERE id = $1", booking) == becomes


async def test_who_has_paid_and_is_not_confirmed_yet_keeps_it_too(make: Open) -> None:
    """Its run has heard of the payment, and decides on the leaving first."""
    line = await make(1)
    entry = await line.join("first")
    await line.free(0)
    await line.serve()
    booking = await line.offer_of(entry)
    assert booking
    given_back = await line.database.fetchval(_GIVE_BACK, booking)
    course = Course((), timedelta(), paid=True)
    outcome = await PostgresChanges(line.saga._pool).apply(booking, given_back, course, moment())
    assert outcome.refusal == ChangeRefusal.NOT_CANCELLABLE
    await line.pay(booking)
    assert await line.database.fetchval("SELECT status FROM bookings WHERE id = $1", booking) == "confirmed"
