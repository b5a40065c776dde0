"""Whether the API lives, whether it can do its work, and how much of it there is."""

import asyncio
import hmac
from typing import Annotated

import asyncpg
from fastapi import APIRouter, Request, Response, Security
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from api.callers import unauthenticated
from api.composition import InRooms, Rooms
from api.examples import LIVE, METRICS, NOT_READY, READY, shown
from api.openapi import problems
from api.problems import Problem
from api.schemas import Health, Live

router = APIRouter(tags=["operations"])
_scraper = HTTPBearer(auto_error=False, scheme_name="Scraper", description="The value of PITSTOP_METRICS_TOKEN.")


@router.get("/health/live", responses={200: shown(LIVE)})
async def live() -> Live:
    """The process answers."""
    return Live()


@router.get("/health/ready", responses={200: shown(READY), 503: shown(NOT_READY, model=Health)})
async def ready(rooms: InRooms, response: Response) -> Health:
    """Names each dependency; 503 while one of them is away."""
    postgres, temporal = await asyncio.gather(_postgres(rooms), rooms.engine.is_reachable())
    dependencies = {"postgres": _word(postgres), "temporal": _word(temporal)}
    if not (postgres and temporal):
        response.status_code = 503
    return Health(status="ok" if postgres and temporal else "unavailable", dependencies=dependencies)


async def _postgres(rooms: Rooms) -> bool:
    try:
        return await rooms.pulse.is_reachable()
    except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError):
        return False


def _word(reachable: bool) -> str:
    return "ok" if reachable else "unavailable"


@router.get("/metrics", response_class=Response, responses={200: shown(METRICS, "text/plain"), **problems(401, 404)})
async def metrics(
    request: Request, rooms: InRooms, token: Annotated[HTTPAuthorizationCredentials | None, Security(_scraper)]
) -> Response:
    """For Prometheus: this process alone, so scrape each. In production only with the token of the settings."""
    _require_scraper(rooms, token)
    await rooms.figures.refresh()
    return Response(generate_latest(request.app.state.registry), media_type=CONTENT_TYPE_LATEST)


def _require_scraper(rooms: Rooms, sent: HTTPAuthorizationCredentials | None) -> None:
    """No token is set: open in development, not there in production."""
    wanted = rooms.settings.metrics_token
    if wanted is None:
        if rooms.settings.environment == "production":
            raise Problem(404, "not_found", "Not found", "Set PITSTOP_METRICS_TOKEN, and metrics are served.")
        return
    if sent is None or not hmac.compare_digest(sent.credentials.encode(), wanted.get_secret_value().encode()):
        raise unauthenticated("Send the token for scrapers: Authorization: Bearer <PITSTOP_METRICS_TOKEN>.")
