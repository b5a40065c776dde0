"""Telling bookings' runs that their flags have changed."""

import logging
from collections.abc import Iterable
from uuid import UUID

from api.composition import Rooms
from pitstop.domain.caller import Caller
from pitstop.ports import EngineUnavailable

_log = logging.getLogger("pitstop.flags")


async def tell_runs(rooms: Rooms, caller: Caller, bookings: Iterable[UUID]) -> None:
    """As well as it can be done now: the flags are on record, and the sweep tells who has not heard of them."""
    try:
        for booking_id in bookings:
            standing = await rooms.desk.standing(caller, booking_id)
            if standing is not None:
                await rooms.engine.tell_notices_owed(standing)
    except EngineUnavailable:
        _log.warning("the engine is away: the sweep tells of the flags")
