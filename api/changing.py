"""Changing a booking: from a wish that is well formed to the booking as it is then, or to the reason why not."""

from contextlib import suppress
from datetime import datetime
from typing import Any
from uuid import UUID, uuid4

import asyncpg

from api.callers import forbidden
from api.composition import Rooms
from api.problems import FieldError, Problem, not_found, unavailable
from api.schemas import BookingOut, Sent
from api.sheets import booking_out
from pitstop.domain.caller import Caller
from pitstop.domain.changes import (
    ChangeKind,
    ChangeOutcome,
    ChangeRefusal,
    NotOnesOffice,
    is_done_by,
    refusal_in,
    why_not_in,
)
from pitstop.domain.saga import Standing
from pitstop.ports import EngineUnavailable
from pitstop.postgres.desk import Wish

_TITLES = {
    ChangeRefusal.SLOT_UNAVAILABLE: "The slot is taken",
    ChangeRefusal.SLOT_NOT_OFFERED: "Not offered",
    ChangeRefusal.VERSION_CONFLICT: "The booking has changed",
    ChangeRefusal.NOT_RESCHEDULABLE: "It cannot be moved",
    ChangeRefusal.NOT_CANCELLABLE: "It cannot be cancelled",
    ChangeRefusal.NOT_OPEN: "There is nothing to come to",
    ChangeRefusal.TOO_EARLY: "Too early",
    ChangeRefusal.NOT_STARTABLE: "It cannot be started",
    ChangeRefusal.WAIVER_MISSING: "The waiver is not signed",
    ChangeRefusal.NOT_COMPLETABLE: "It cannot be completed",
    ChangeRefusal.NOT_ABSENT: "Nobody is missing",
    ChangeRefusal.NOT_TRANSFERABLE: "It cannot be handed over",
    ChangeRefusal.NO_PROPOSAL: "Nothing is proposed",
    ChangeRefusal.PRICE_DIFFERS: "The price differs",
    ChangeRefusal.NOT_AWAITED: "No answer is waited for",
    ChangeRefusal.ALREADY_TAKEN: "Somebody else has it",
    ChangeRefusal.NOT_ON_OFFER: "It is not on offer",
}
# The field that names what cannot be had, and where to find what can.
_START = ("body.start", "Take a start from GET /v1/availability.")
_AT_FAULT = {
    ChangeKind.HAND_OVER: ("body.mechanic_id", "Take a mechanic who has this start in GET /v1/availability."),
    ChangeKind.PROPOSE: ("body.options", "Take starts from GET /v1/availability."),
    ChangeKind.WORKSHOP_PROPOSE: ("body.options", "Take starts from GET /v1/availability."),
}
_NOT_YOURS = (
    "It is for the booking's own mechanic to ask this, or, of a workshop's word, for whoever keeps the workshop."
)


def wanted_of(sent: Sent | None) -> dict[str, Any]:
    """What a request says of the change that it asks for; the reason is put on record beside it."""
    return {} if sent is None else sent.model_dump(exclude={"reason"}, exclude_none=True)


async def change_booking(
    rooms: Rooms,
    caller: Caller,
    booking_id: UUID,
    kind: ChangeKind,
    wanted: dict[str, Any] | None = None,
    reason: str | None = None,
) -> BookingOut:
    """Has the change decided, and brings the booking back as it is then."""
    await have_decided(rooms, caller, booking_id, kind, wanted, reason)
    return await booking_out(rooms, caller, booking_id)


async def have_decided(
    rooms: Rooms,
    caller: Caller,
    booking_id: UUID,
    kind: ChangeKind,
    wanted: dict[str, Any] | None = None,
    reason: str | None = None,
) -> None:
    """Has the booking's run decide. Refused, or not decided at all: the booking is as it was."""
    await _ask_its_run(rooms, caller, await rooms.desk.standing(caller, booking_id), kind, wanted, reason)


async def accept_offer(rooms: Rooms, caller: Caller, booking_id: UUID) -> BookingOut:
    """The mechanic takes the session, which is its own from here on. Refused: it stays open for the others."""
    await _ask_its_run(rooms, caller, await rooms.desk.offered(caller, booking_id), ChangeKind.ACCEPT)
    return await booking_out(rooms, caller, booking_id)


async def decline_offer(rooms: Rooms, caller: Caller, booking_id: UUID) -> None:
    await _ask_its_run(rooms, caller, await rooms.desk.offered(caller, booking_id), ChangeKind.DECLINE_OFFER)


async def _ask_its_run(
    rooms: Rooms,
    caller: Caller,
    standing: Standing | None,
    kind: ChangeKind,
    wanted: dict[str, Any] | None = None,
    reason: str | None = None,
) -> None:
    if standing is None:
        raise not_found()
    if standing.status.is_end:
        _refuse_after_the_end(kind, standing)
        return
    wish = Wish(uuid4(), kind, {name: _json(value) for name, value in (wanted or {}).items()}, reason)
    try:
        await rooms.desk.ask(caller, standing.booking_id, wish)
    except NotOnesOffice:
        raise forbidden(_NOT_YOURS) from None
    outcome = await _decided(rooms, caller, standing, wish)
    if outcome.refusal is ChangeRefusal.NOT_THEIRS:
        # As if they asked now.
        seen = await rooms.desk.standing(caller, standing.booking_id)
        raise not_found() if seen is None else forbidden(_NOT_YOURS)
    if outcome.refusal is not None:
        raise _refused(kind, outcome.refusal, outcome.why)


def _json(value: Any) -> Any:
    if isinstance(value, list):
        return [{name: _json(each) for name, each in entry.items()} for entry in value]
    return value.isoformat() if isinstance(value, datetime) else str(value) if isinstance(value, UUID) else value


async def _decided(rooms: Rooms, caller: Caller, standing: Standing, wish: Wish) -> ChangeOutcome:
    """What the run has decided. While it cannot be asked the wish is taken back: it will not come true later."""
    try:
        outcome = await rooms.engine.change(standing, wish.id, wish.kind)
    except EngineUnavailable:
        known = await rooms.desk.take_back(caller, standing.booking_id, wish.id)
        if known is None:
            raise
        # It was decided on, and the run may have lost what it knew of that: it is to look again.
        with suppress(EngineUnavailable):
            await rooms.engine.tell_notices_owed(standing)
        return known
    # If that cannot be noted, the run is told once more for nothing.
    with suppress(asyncpg.PostgresError, asyncpg.InterfaceError, OSError, TimeoutError):
        await rooms.desk.heard(caller, wish.id)
    if outcome.refusal is ChangeRefusal.WITHDRAWN:
        raise EngineUnavailable
    if outcome.refusal is ChangeRefusal.PAYMENT_UNAVAILABLE:
        raise unavailable("payment_unavailable", "The payment provider")
    return outcome


def _refuse_after_the_end(kind: ChangeKind, standing: Standing) -> None:
    if not is_done_by(kind, standing.status):
        raise _refused(kind, refusal_in(kind), why_not_in(kind, standing.status))


def _refused(kind: ChangeKind, refusal: ChangeRefusal, why: str | None) -> Problem:
    detail = why or "The booking stays as it was."
    if refusal is ChangeRefusal.SLOT_NOT_OFFERED:
        field, instead = _AT_FAULT.get(kind, _START)
        error = FieldError(field=field, message=f"{detail} {instead}")
        return Problem(422, refusal, _TITLES[refusal], error.message, [error])
    return Problem(409, refusal, _TITLES[refusal], detail)
