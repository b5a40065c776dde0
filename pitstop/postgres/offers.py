"""Immediate sessions on PostgreSQL: offered in waves, taken by one mechanic, or given up. The booking is locked."""

from datetime import datetime
from typing import Any
from uuid import UUID

from pitstop.domain import notice_plan
from pitstop.domain.booking import BookingStatus, SlotRefusal
from pitstop.domain.changes import ChangeRefusal
from pitstop.domain.notices import NoticeKind
from pitstop.domain.offering import FARTHEST
from pitstop.postgres import queries, steps
from pitstop.postgres.asking import Asked, Refused, require_waiver
from pitstop.postgres.settling import settle

_SQL = queries.load("offers")
_SAGA = queries.load("saga")


async def open_up(asked: Asked) -> UUID | None:
    """It is paid, and offered to the preferred mechanic alone, if that one could take it; else to the first wave.

    Brings back the session.
    """
    patience = asked.course.patience
    session: UUID | None = await _do(asked, "make_pending", asked.now, asked.now + patience.whole)
    await steps.owe(asked.connection, asked.booking_id, *steps.waiver_request(asked.booking, None, asked.now))
    if await _offer_to(asked, None):
        await _do(asked, "set_reach", None, asked.now + patience.preferred)
    else:
        await _widen(asked, None)
    return session


async def move_on(asked: Asked) -> None:
    """What the clock asks: the next wave, or the end of the search. Once for a moment, however often it is asked."""
    widens, ends = asked.booking["offers_widen_at"], asked.booking["offers_end_at"]
    if ends is None or ends <= asked.now:
        await _give_up(asked)
    elif widens <= asked.now:
        await _widen(asked, asked.booking["offers_reach"])


async def _widen(asked: Asked, reach: int | None) -> None:
    """The next wave, and those after it at once as long as nobody considers it. The last one is asked again and again:
    somebody may have come online."""
    while True:
        reach = 0 if reach is None else min(reach + 1, FARTHEST)
        await _offer_to(asked, reach)
        if reach == FARTHEST or await _do(asked, "somebody_considers"):
            break
    await _do(asked, "set_reach", reach, asked.now + asked.course.patience.wave)


async def _offer_to(asked: Asked, reach: int | None) -> bool:
    """Whether somebody was asked who had not been before."""
    count: int = await _do(asked, "offer_to", asked.now, reach)
    if count:
        await asked.note("offered", mechanics=count)
    return count > 0


async def _give_up(asked: Asked) -> None:
    """Nobody has taken it: all of the money goes back, and the customer is told so."""
    await asked.connection.execute(_SAGA["cancel_session"], asked.booking_id)
    back: int = asked.booking["amount"]
    settled = {"reason": "not_taken", "refund": back}
    await settle(asked, BookingStatus.REFUNDED, back, True, settled, NoticeKind.NOT_TAKEN)
    await _text(asked, NoticeKind.NOT_TAKEN)


async def _text(asked: Asked, kind: NoticeKind) -> None:
    """The same as a text message, for a customer who wants those: somebody who waits now is not spared at night."""
    if asked.booking["wants_texts"]:
        where = (asked.booking["timezone"], asked.texts, asked.now)
        owed = notice_plan.told_by_text(asked.booking_id, kind, *where, urgent=True)
        await steps.owe(asked.connection, asked.booking_id, owed)


async def accept(asked: Asked) -> dict[str, Any]:
    """The mechanic takes the session: it begins, and blocks the mechanic's time. Of several the first has it."""
    mechanic = await _who_asks(asked)
    if asked.is_in(BookingStatus.IN_PROGRESS) and asked.booking["mechanic_id"] == mechanic:
        return {"unchanged": True}
    await _require_open(asked, mechanic)
    await asked.connection.execute(_SAGA["keep_still"], mechanic, asked.booking["service_id"])
    await _require_offered(asked, mechanic)
    await require_waiver(asked)
    taken = await _take(asked, mechanic)
    await asked.do("check_in", "mechanic", asked.now)
    await steps.owe(asked.connection, asked.booking_id, notice_plan.told_now(asked.booking_id, NoticeKind.TAKEN))
    await _text(asked, NoticeKind.TAKEN)
    await asked.note("in_progress", mechanic_id=str(mechanic))
    return {"mechanic_id": str(mechanic), "to": taken.isoformat()}


async def decline(asked: Asked) -> dict[str, Any]:
    """The mechanic does not want it. When nobody else considers it, the next are asked at once."""
    mechanic = await _who_asks(asked)
    await _require_open(asked, mechanic)
    row = await asked.connection.fetchrow(_SQL["offer_of"], asked.booking_id, mechanic)
    if row is None:
        raise Refused(ChangeRefusal.NOT_ON_OFFER, "It was not offered to you.")
    if row["outcome"] == "declined":
        return {"unchanged": True}
    await _do(asked, "decide_offer", mechanic, "declined")
    if not await _do(asked, "somebody_considers"):
        await _widen(asked, asked.booking["offers_reach"])
    return {}


async def _who_asks(asked: Asked) -> UUID:
    return UUID(await asked.connection.fetchval(_SQL["who_asks"], asked.change_id))


async def _require_open(asked: Asked, mechanic: UUID) -> None:
    if asked.is_in(BookingStatus.IN_PROGRESS):
        raise Refused(ChangeRefusal.ALREADY_TAKEN, "Another mechanic has taken it.")
    # The clock may be about to say so: the run has been away, and both have come.
    if asked.booking["offers_end_at"] <= asked.now:
        raise Refused(ChangeRefusal.NOT_ON_OFFER, "The time to take it is over.")


async def _require_offered(asked: Asked, mechanic: UUID) -> None:
    row = await asked.connection.fetchrow(_SQL["offer_of"], asked.booking_id, mechanic)
    if row is None or row["outcome"] is not None:
        raise Refused(ChangeRefusal.NOT_ON_OFFER, "It is not offered to you.")
    if not row["online"]:
        raise Refused(ChangeRefusal.NOT_ON_OFFER, "You are offline: go online, then take it.")


async def _take(asked: Asked, mechanic: UUID) -> datetime:
    """Brings back when it ends. `asyncpg.ExclusionViolationError`: the mechanic has something coming, or is at it."""
    target = await asked.connection.fetchrow(_SQL["blocked"], asked.booking_id, mechanic, asked.now)
    if target is None:
        raise Refused(ChangeRefusal.NOT_ON_OFFER, "You do not offer this service.", SlotRefusal.NOT_OFFERED)
    await asked.connection.execute(_SAGA["lapse_rivals"], mechanic, target["blocked"], asked.now)
    times = (asked.now, target["ends_at"])
    reservation = await _do(asked, "reserve", asked.change_id, mechanic, *times, target["blocked"])
    await _do(asked, "begin_session", asked.now, mechanic, reservation)
    await _do(asked, "decide_offer", mechanic, "accepted")
    buffers = (target["buffer_before_minutes"], target["buffer_after_minutes"])
    await _do(asked, "take_booking", mechanic, *times, *buffers)
    ends: datetime = target["ends_at"]
    return ends


async def _do(asked: Asked, name: str, *arguments: Any) -> Any:
    return await asked.connection.fetchval(_SQL[name], asked.booking_id, *arguments)
