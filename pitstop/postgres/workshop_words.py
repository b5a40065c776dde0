"""A workshop's word on an in-person booking: it is waited for, given, or not given in time.

The bay and the mechanic are the booking's all the while.
"""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import asyncpg

from pitstop.domain import notice_plan
from pitstop.domain.changes import ChangeRefusal
from pitstop.domain.notices import NoticeKind
from pitstop.domain.saga import OwedNotice
from pitstop.postgres import queries, steps
from pitstop.postgres.asking import UNANSWERED, Asked, Refused, require_version

_SQL = queries.load("workshop_words")
# What tells of a word that is waited for; and of times that somebody else has proposed meanwhile.
OF_THE_WORD = (NoticeKind.WORKSHOP_REQUEST, NoticeKind.WORKSHOP_ASKED, NoticeKind.WORKSHOP_PROPOSAL)
OUTDATED = (*OF_THE_WORD, NoticeKind.PROPOSAL)
_NO_ADDRESS = "the workshop has no address for mail"


def told_of_payment(booking: asyncpg.Record, now: datetime) -> list[OwedNotice]:
    """The customer's confirmation; where the workshop has to agree, what says that it is asked, and the question."""
    id, minutes = booking["booking_id"], booking["confirms_within_minutes"]
    if minutes is None:
        return [notice_plan.told_now(id, NoticeKind.CONFIRMATION)]
    until = min(now + timedelta(minutes=minutes), booking["starts_at"])
    told = notice_plan.told_now(id, NoticeKind.WORKSHOP_ASKED, until=until.isoformat())
    return [told, _question(booking, until)]


def _question(booking: asyncpg.Record, until: datetime, move: int = 0, of: UUID | None = None) -> OwedNotice:
    kind = NoticeKind.WORKSHOP_REQUEST
    question = notice_plan.told_now(booking["booking_id"], kind, move, of=of, until=until.isoformat())
    return question if booking["workshop_has_mail"] else replace(question, skip_reason=_NO_ADDRESS)


def has_lapsed(booking: asyncpg.Record, now: datetime) -> bool:
    """An answer at the last instant itself is in time."""
    return booking["workshop_status"] in UNANSWERED and bool(booking["workshop_answer_by"] <= now)


def require_awaited(asked: Asked) -> None:
    state = asked.booking["workshop_status"]
    if state not in UNANSWERED:
        why = f"The workshop's word has been given: {state}." if state else "This booking needs no word of a workshop."
        raise Refused(ChangeRefusal.NOT_AWAITED, why)
    if asked.now > asked.booking["workshop_answer_by"]:
        raise Refused(ChangeRefusal.NOT_AWAITED, "The time to answer is over.")


def require_agreed(asked: Asked) -> None:
    """Nothing begins that the workshop has not agreed to."""
    if asked.booking["workshop_status"] in UNANSWERED:
        raise Refused(ChangeRefusal.NOT_STARTABLE, "The workshop has not confirmed the booking yet.")


async def confirm(asked: Asked) -> dict[str, Any]:
    """The time that was booked, also where others had been proposed. Said again, it changes nothing."""
    if asked.booking["workshop_status"] == "confirmed":
        return {"unchanged": True}
    require_awaited(asked)
    require_version(asked)
    await steps.close_proposal(asked.connection, asked.booking_id, "replaced", asked.now)
    await end(asked, "confirmed")
    await steps.skip_notices(asked.connection, asked.booking_id, "the workshop has confirmed", *OUTDATED)
    # A booking may need more than one word: another workshop's, too.
    move = asked.booking["moves"]
    told = notice_plan.told_now(asked.booking_id, NoticeKind.CONFIRMATION, move, of=asked.change_id)
    await steps.owe(asked.connection, asked.booking_id, told)
    return {}


async def end(asked: Asked, state: str, **detail: str) -> None:
    """The waiting is over; what becomes of the booking is another step of the same transaction."""
    await asked.connection.execute(_SQL["end_waiting"], asked.booking_id, state)
    await asked.note(f"workshop_{state}", **detail)


def silent(asked: Asked) -> str:
    """Whose answer has not come: the workshop's, or the customer's on what the workshop has proposed."""
    return "customer" if asked.booking["workshop_status"] == "proposed" else "workshop"


async def after_move(asked: Asked, move: int, *, agreed: bool) -> None:
    """A new time needs the workshop's word anew, unless that is where it comes from (`agreed`)."""
    await _ask_anew(asked, "agreed" if agreed else "open", move)


async def after_hand_over(asked: Asked) -> bool:
    """Within a workshop its word stands as it was, or as it was not; another one is asked. So is one that had proposed
    other times: they were those of the mechanic before. Brings back whether one is asked."""
    return await _ask_anew(asked, "as_it_was", asked.booking["moves"])


async def _ask_anew(asked: Asked, how: str, move: int) -> bool:
    """The customer reads it in the mail about the move, or about the other mechanic. True: one is asked."""
    before = asked.booking["workshop_status"]
    after = await asked.connection.fetchval(_SQL["place_anew"], asked.booking_id, how, asked.now)
    booking = await steps.lock(asked.connection, asked.booking_id) if before or after else None
    if booking is None or (how == "as_it_was" and _is_asked_already(asked.booking, booking)):
        return False
    await steps.skip_notices(asked.connection, asked.booking_id, "the workshop has something else to say", *OUTDATED)
    if after == "awaiting":
        question = _question(booking, booking["workshop_answer_by"], move, asked.change_id)
        await steps.owe(asked.connection, asked.booking_id, question)
    return bool(after == "awaiting")


def _is_asked_already(before: asyncpg.Record, after: asyncpg.Record) -> bool:
    """The same workshop is, or will be by a mail that has still to go out."""
    return all(before[each] == after[each] for each in ("workshop_id", "workshop_status"))
