"""Other times that the workshop proposes: held while the customer decides, as the booked one is."""

from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

from pitstop.domain import notice_plan
from pitstop.domain.booking import SlotRefusal
from pitstop.domain.changes import ChangeRefusal
from pitstop.domain.notices import NoticeKind
from pitstop.postgres import proposals, queries, steps, workshop_words
from pitstop.postgres.asking import Asked, Refused, require_version
from pitstop.postgres.moves import Aim, keep_still, look, require_not_begun

_SQL = queries.load("workshop_words")
_PROPOSALS = queries.load("proposals")
_SAGA = queries.load("saga")


async def propose(asked: Asked) -> dict[str, Any]:
    """In this workshop, with any of its mechanics. What the workshop proposed before is let go first.

    The customer has as long to answer as the workshop had, and not beyond a time that is proposed.
    """
    require_version(asked)
    workshop_words.require_awaited(asked)
    require_not_begun(asked)
    options = [proposals.aim_of(asked, each) for each in asked.wanted["options"]]
    _require_apart(options, asked.length)
    await keep_still(asked, {each.mechanic_id for each in options})
    expires = min([await _latest(asked, each) for each in options])
    await steps.close_proposal(asked.connection, asked.booking_id, "replaced", asked.now)
    shown = [{"start": each.start.isoformat(), "mechanic_id": str(each.mechanic_id)} for each in options]
    by = "operator" if asked.by == "operator" else "mechanic"
    made = (asked.booking_id, asked.change_id, shown, by, asked.now, expires)
    await asked.connection.execute(_PROPOSALS["propose"], *made)
    for option in options:
        await _hold(asked, option, expires)
    await asked.connection.execute(_SQL["wait_for_customer"], asked.booking_id, expires)
    await _tell(asked, options, shown, expires)
    return {"options": len(shown), "expires_at": expires.isoformat()}


def _require_apart(options: list[Aim], length: timedelta) -> None:
    """Each is held whole: no two of them share a time."""
    starts = sorted(each.start for each in options)
    if any(later - earlier < length for earlier, later in pairwise(starts)):
        raise Refused(ChangeRefusal.SLOT_NOT_OFFERED, "Proposed times must not overlap.", SlotRefusal.NOT_OFFERED)


async def _latest(asked: Asked, option: Aim) -> datetime:
    """Until when the customer can take this time: the mechanic's notice before it, and the period."""
    there = await asked.connection.fetchrow(_SQL["mechanic_there"], asked.booking_id, option.mechanic_id)
    if there is None:
        why = "The mechanic does not work in this workshop."
        raise Refused(ChangeRefusal.SLOT_NOT_OFFERED, why, SlotRefusal.NOT_OFFERED)
    await proposals.require_offered(asked, option)
    period = timedelta(minutes=asked.booking["confirms_within_minutes"])
    latest: datetime = min(asked.now + period, asked.start, option.start - there["notice"])
    if latest <= asked.now:
        why = f"{option.start:%Y-%m-%dT%H:%M:%SZ} leaves the customer no time to answer."
        raise Refused(ChangeRefusal.SLOT_NOT_OFFERED, why, SlotRefusal.TOO_SOON)
    return latest


async def _hold(asked: Asked, option: Aim, expires: datetime) -> None:
    there = await look(asked, option)
    if there is not None:
        await asked.connection.execute(_SAGA["lapse_rivals"], option.mechanic_id, there["blocked"], asked.now)
        place = (option.mechanic_id, asked.change_id, there["blocked"], asked.now, expires)
        if await asked.connection.fetchval(_SQL["hold_option"], asked.booking_id, *place) is not None:
            return
    why = f"{option.start:%Y-%m-%dT%H:%M:%SZ} cannot be held: there is no bay for it."
    raise Refused(ChangeRefusal.SLOT_UNAVAILABLE, why, SlotRefusal.TAKEN)


async def _tell(asked: Asked, options: list[Aim], shown: list[dict[str, str]], expires: datetime) -> None:
    why = "the workshop has proposed other times"
    await steps.skip_notices(asked.connection, asked.booking_id, why, *workshop_words.OUTDATED)
    about = asked.told_why | await proposals.about(asked, options, expires)
    told = notice_plan.told_now(asked.booking_id, NoticeKind.WORKSHOP_PROPOSAL, of=asked.change_id, **about)
    await steps.owe(asked.connection, asked.booking_id, told)
    await asked.note("workshop_proposed", options=shown, expires_at=expires.isoformat())
