"""Other times, or other mechanics, offered for a booking: its customer takes one of them, or none."""

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from pitstop.domain import notice_plan
from pitstop.domain.booking import SlotRefusal
from pitstop.domain.changes import ChangeRefusal
from pitstop.domain.notices import NoticeKind
from pitstop.postgres import queries, steps
from pitstop.postgres.asking import Asked, Refused, require_version
from pitstop.postgres.moves import Aim, keep_still, look, move, require_not_begun

_SQL = queries.load("proposals")
_CHANGES = queries.load("changes")


async def propose(asked: Asked) -> dict[str, Any]:
    """Each option can be had as it is offered; none is held. A new proposal takes the place of the one before."""
    require_version(asked)
    require_not_begun(asked)
    if asked.booking["workshop_status"] == "proposed":
        # Those are held, and the booking ends with the customer's no: another proposal would promise neither.
        raise Refused(ChangeRefusal.NOT_RESCHEDULABLE, "The customer has to answer the workshop's proposal first.")
    options = [aim_of(asked, each) for each in asked.wanted["options"]]
    await keep_still(asked, {each.mechanic_id for each in options})
    for option in options:
        await require_offered(asked, option)
    # What is offered instead of a session is of no use once that has begun.
    expires = min(asked.now + timedelta(minutes=asked.wanted["expires_in_minutes"]), asked.start)
    await close(asked, "replaced")
    shown = [{"start": each.start.isoformat(), "mechanic_id": str(each.mechanic_id)} for each in options]
    made = (asked.booking_id, asked.change_id, shown, asked.by, asked.now, expires)
    await asked.connection.execute(_SQL["propose"], *made)
    await steps.owe(
        asked.connection,
        asked.booking_id,
        notice_plan.told_now(
            asked.booking_id,
            NoticeKind.PROPOSAL,
            of=asked.change_id,
            **asked.told_why | await about(asked, options, expires),
        ),
    )
    await asked.note("proposed", options=shown, expires_at=expires.isoformat())
    return {"options": len(shown)}


async def about(asked: Asked, options: list[Aim], expires: datetime) -> dict[str, Any]:
    """What the mail says of it: a single option in words, several in a list. A mechanic only if it is another one."""
    shown = [{"start": each.start.isoformat(), "mechanic": await _other_name(asked, each)} for each in options]
    about: dict[str, Any] = {"until": expires.isoformat()}
    if len(shown) > 1:
        return about | {"options": shown}
    [only] = shown
    if only["mechanic"] is not None:
        about["offered_mechanic"] = only["mechanic"]
    return about | {"offered_start": only["start"]}


async def _other_name(asked: Asked, option: Aim) -> str | None:
    if option.mechanic_id == asked.mechanic_id:
        return None
    name: str = await asked.connection.fetchval(_CHANGES["mechanic_name"], option.mechanic_id)
    return name


def aim_of(asked: Asked, option: dict[str, Any]) -> Aim:
    mechanic = UUID(option["mechanic_id"]) if option.get("mechanic_id") else asked.mechanic_id
    return Aim(datetime.fromisoformat(option["start"]), mechanic)


async def require_offered(asked: Asked, option: Aim) -> None:
    if option == Aim(asked.start, asked.mechanic_id):
        raise Refused(ChangeRefusal.SLOT_NOT_OFFERED, "The booking has this time already.", SlotRefusal.NOT_OFFERED)
    there = await look(asked, option)
    reason = SlotRefusal(there["refusal"] or SlotRefusal.NOT_OFFERED) if there else SlotRefusal.NOT_OFFERED
    if there is not None and there["refusal"] is None:
        return
    refusal = ChangeRefusal.SLOT_UNAVAILABLE if reason is SlotRefusal.TAKEN else ChangeRefusal.SLOT_NOT_OFFERED
    raise Refused(refusal, f"{option.start:%Y-%m-%dT%H:%M:%SZ} cannot be had: {reason}.", reason)


async def accept(asked: Asked) -> dict[str, Any]:
    """As a move of the mechanic's: it counts against none of the customer's limits. An option that has gone meanwhile
    leaves everything as it was, and the others open. What the workshop has proposed was held, and cannot have gone."""
    chosen = aim_of(asked, asked.wanted)
    proposal = await asked.connection.fetchrow(_SQL["open_proposal"], asked.booking_id)
    if proposal is None or proposal["expires_at"] <= asked.now:
        raise Refused(ChangeRefusal.NO_PROPOSAL, "Nothing is proposed for this booking any more.")
    if chosen not in [aim_of(asked, each) for each in proposal["options"]]:
        raise Refused(ChangeRefusal.NO_PROPOSAL, "That is not among the proposed times.")
    require_not_begun(asked)
    # Before what is held for it is let go: whoever wants that time waits for these mechanics first.
    await keep_still(asked, {chosen.mechanic_id})
    await close(asked, "accepted")
    held, by = asked.booking["workshop_status"] == "proposed", proposal["proposed_by"]
    # A time that an operator sets needs no word of the workshop, whoever has the last say on it.
    return await move(asked, chosen, counted=False, by=by, agreed=held or by == "operator", held=held)


async def decline(asked: Asked) -> dict[str, Any]:
    """The booking stays as it is, and a flag on it, too. A proposal that is named is declined, and no other."""
    proposal = await asked.connection.fetchrow(_SQL["open_proposal"], asked.booking_id)
    if proposal is not None and asked.wanted.get("proposal_id") not in (None, str(proposal["id"])):
        why = "Other times are proposed by now. Read the booking again, then decide."
        raise Refused(ChangeRefusal.NO_PROPOSAL, why)
    if not await close(asked, "declined"):
        raise Refused(ChangeRefusal.NO_PROPOSAL, "Nothing is proposed for this booking any more.")
    await asked.note("proposal_declined")
    return {}


async def close(asked: Asked, how: str) -> bool:
    """Whether one was open."""
    closed = await steps.close_proposal(asked.connection, asked.booking_id, how, asked.now)
    if closed:
        why = f"the proposal is {how}"
        await steps.skip_notices(
            asked.connection, asked.booking_id, why, NoticeKind.PROPOSAL, NoticeKind.WORKSHOP_PROPOSAL
        )
    return closed
