"""The waitlist as the product has it: joined and left through the API's desk, served by the worker's store."""

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

from pitstop.domain.caller import Caller, Role
from pitstop.domain.notices import Language
from pitstop.domain.waitlist import EntryLimits, EntryRequest, Offer, Wanted
from pitstop.postgres.waitlist import PostgresWaitlist
from pitstop.postgres.waitlist_desk import WaitlistDesk
from tests.life.model.agreed import FAR_AWAY, Span, number_of
from tests.life.model.premises import Pools, Premises

# How long an offer is held.
OFFERED = timedelta(minutes=30)
MISSED = 3
_LIMITS = EntryLimits(10, MISSED)
A_MOMENT = timedelta(seconds=1)
_SEEN = "SELECT id, status, missed FROM waitlist_entries WHERE id = ANY($1)"
# Nobody waits any more for what other shops have.
_ALONE = """
WITH left_over AS (UPDATE waitlist_entries SET status = 'left' WHERE status = 'waiting'),
unheld AS (
    DELETE FROM bookings WHERE waitlist_entry_id IS NOT NULL AND status = 'holding' AND hold_expires_at IS NULL
)
DELETE FROM freed_slots
"""


class Line:
    """Everybody waits for one mechanic, for starts of a span that ends with the last of them."""

    def __init__(self, pools: Pools, premises: Premises) -> None:
        self._desk, self._store = WaitlistDesk(pools.api), PostgresWaitlist(pools.worker)
        self._what = premises.what(in_person=False)

    async def join(self, customer: UUID, mechanic: UUID, span: Span, now: datetime) -> UUID | None:
        """The entry; None when it could be booked at once."""
        wanted = Wanted(*self._what, mechanic, (span[0], span[1] + A_MOMENT), FAR_AWAY, None, None)
        id = uuid4()
        person = (customer, "Camille Roy", "camille@example.com", number_of(id), True, Language.EN)
        request = EntryRequest(id, id.bytes * 2, id.bytes * 2, wanted, *person, "CA", "Toronto", "M5V 2T6", {})
        joined = await self._desk.join(_caller(customer), request, _LIMITS, now)
        assert (joined.free is None) == joined.new, joined
        return joined.entry_id

    async def leave(self, customer: UUID, entry: UUID) -> None:
        await self._desk.leave(_caller(customer), entry)

    async def look(self, now: datetime, sweep: bool) -> None:
        """`sweep`: also at those whom nobody has told of anything."""
        if sweep:
            await self._store.lapse(now)
        await self._store.look(OFFERED, now, 1000, only_due=not sweep)

    async def next_offer(self, now: datetime) -> Offer | None:
        return await self._store.next_offer([], OFFERED, now)

    async def seen(self, database: Any, entries: list[UUID]) -> dict[UUID, tuple[str, int]]:
        return {row["id"]: (row["status"], row["missed"]) for row in await database.fetch(_SEEN, entries)}


async def alone(database: Any) -> None:
    await database.execute(_ALONE)


def _caller(customer: UUID) -> Caller:
    return Caller(Role.CUSTOMER, str(customer))
