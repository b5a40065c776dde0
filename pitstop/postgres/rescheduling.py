"""Another time, mechanic, service or plan is asked for: done at once, or when what it costs more has been paid."""

from datetime import datetime
from typing import Any
from uuid import UUID

import asyncpg

from pitstop.domain.booking import SlotRefusal
from pitstop.domain.changes import ChangeRefusal
from pitstop.postgres import queries, supplements
from pitstop.postgres.asking import Asked, Refused, require_version
from pitstop.postgres.moves import Aim, move, require_not_begun

_SQL = queries.load("changes")


async def reschedule(asked: Asked) -> dict[str, Any]:
    """A booking that is there already stays as it is."""
    start = datetime.fromisoformat(asked.wanted["start"]) if asked.wanted.get("start") else asked.start
    mechanic = UUID(asked.wanted["mechanic_id"]) if asked.wanted.get("mechanic_id") else asked.mechanic_id
    require_version(asked)
    offer = await _offer(asked)
    aim = Aim(start, mechanic, offer, waived=bool(asked.wanted.get("waive_difference")) and not asked.for_customer)
    if (start, mechanic, offer) == (asked.start, asked.mechanic_id, None):
        return {"to": start.isoformat(), "unchanged": True}
    require_not_begun(asked)
    if asked.for_customer:
        _require_customer_may_move(asked)
        if offer is not None and offer["amount"] > asked.booking["amount"]:
            return await supplements.ask_for(asked, aim, offer)
    return await move(asked, aim, counted=asked.for_customer)


def _require_customer_may_move(asked: Asked) -> None:
    if not asked.policy.may_be_moved(asked.start, asked.now):
        why = f"It could be moved until {asked.policy.reschedule_minutes_before} minutes before its start."
        raise Refused(ChangeRefusal.NOT_RESCHEDULABLE, why)
    if asked.booking["customer_moves"] >= asked.policy.reschedule_limit:
        why = f"It has been moved {asked.booking['customer_moves']} times, which is as often as it may be."
        raise Refused(ChangeRefusal.NOT_RESCHEDULABLE, why)


async def _offer(asked: Asked) -> asyncpg.Record | None:
    """The other plan that is asked for; None where it is the one that was agreed."""
    plan = asked.wanted.get("plan_id")
    service = UUID(asked.wanted.get("service_id") or str(asked.booking["service_id"]))
    if plan is None or (service, UUID(plan)) == (asked.booking["service_id"], asked.booking["plan_id"]):
        return None
    offer = await asked.connection.fetchrow(_SQL["offer"], service, UUID(plan))
    if offer is None or offer["currency"] != asked.booking["currency"]:
        why = "There is no such plan of this service."
        raise Refused(ChangeRefusal.SLOT_NOT_OFFERED, why, SlotRefusal.NOT_OFFERED)
    return offer
