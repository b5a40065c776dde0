"""Whether the API lives, and whether it can do its work."""

import asyncio

import asyncpg
from fastapi import APIRouter, Response

from api.composition import InRooms, Rooms
from api.examples import LIVE, NOT_READY, READY, shown
from api.schemas import Health, Live

router = APIRouter(prefix="/health", tags=["operations"])


@router.get("/live", responses={200: shown(LIVE)})
async def live() -> Live:
    """The process answers."""
    return Live()


@router.get("/ready", responses={200: shown(READY), 503: shown(NOT_READY, model=Health)})
async def ready(rooms: InRooms, response: Response) -> Health:
    """Names each dependency; 503 while one of them is away."""
    postgres, temporal = await asyncio.gather(_postgres(rooms), rooms.engine.is_reachable())
    dependencies = {"postgres": _word(postgres), "temporal": _word(temporal)}
    if not (postgres and temporal):
        response.status_code = 503
    return Health(status="ok" if postgres and temporal else "unavailable", dependencies=dependencies)


async def _postgres(rooms: Rooms) -> bool:
    try:
        return await rooms.catalogue.is_reachable()
    except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError):
        return False


def _word(reachable: bool) -> str:
    return "ok" if reachable else "unavailable"
