"""Another mechanic takes a booking, at the same time."""

from typing import Any
from uuid import UUID

from pitstop.domain import notice_plan
from pitstop.domain.changes import ChangeRefusal
from pitstop.domain.flags import Resolution
from pitstop.domain.notices import NoticeKind
from pitstop.postgres import queries, steps, workshop_words
from pitstop.postgres.asking import Asked, Refused, require_version
from pitstop.postgres.moves import Aim, take

_SQL = queries.load("changes")
# Whether the workshop still has to say its word is another matter.
_OUTDATED = tuple(kind for kind in steps.OUTDATED if kind not in workshop_words.OF_THE_WORD)


async def hand_over(asked: Asked) -> dict[str, Any]:
    """The other mechanic has to have the time free, by its own rules. The price stays, and so do the reminders: they
    are for this time, and name whoever is the mechanic when they go out."""
    mechanic = UUID(asked.wanted["mechanic_id"])
    require_version(asked)
    if mechanic == asked.mechanic_id:
        return {"unchanged": True}
    if asked.start <= asked.now:
        raise Refused(ChangeRefusal.NOT_TRANSFERABLE, "The session's time has begun.")
    target = await take(asked, Aim(asked.start, mechanic))
    await asked.do("move_session", asked.start, mechanic)
    await asked.do("hand_over", mechanic, target["buffer_before_minutes"], target["buffer_after_minutes"])
    await steps.let_go_of_flags(asked.connection, asked.booking_id, Resolution.HANDED_OVER, asked.now)
    await steps.forget_check_ins(asked.connection, asked.booking_id, "mechanic")
    await _tell(asked)
    handed = {"from_mechanic_id": str(asked.mechanic_id), "to_mechanic_id": str(mechanic)}
    # Until another workshop has agreed a customer loses nothing by a move: the audit goes by the timeline.
    anew = {"workshop_asked": True} if await workshop_words.after_hand_over(asked) else {}
    await asked.note("handed_over", **handed, **anew)
    return handed


async def _tell(asked: Asked) -> None:
    await steps.skip_notices(asked.connection, asked.booking_id, "another mechanic has the booking", *_OUTDATED)
    before = await asked.connection.fetchval(_SQL["mechanic_name"], asked.mechanic_id)
    about = {"previous_mechanic": before, **asked.told_why}
    told = notice_plan.told_now(asked.booking_id, NoticeKind.HANDED_OVER, of=asked.change_id, **about)
    await steps.owe(asked.connection, asked.booking_id, told)
