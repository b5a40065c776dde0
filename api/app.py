"""The doors: the FastAPI application. Run: python -m api."""

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI
from fastapi.staticfiles import StaticFiles
from fastapi_offline import FastAPIOffline
from temporalio.client import Client

from api import openapi, problems
from api.composition import build
from api.limits import BodyLimit
from api.metrics import Measuring, Meters, Occupancy
from api.routes import bookings, catalogue, invites, operations, pages, webhooks
from api.shedding import Lanes, Shedding
from pitstop.settings import Settings


def create_app(settings: Settings | None = None, client: Client | None = None) -> FastAPI:
    """The application; settings come from the environment unless given, as does the connection to the engine."""
    settings = settings or Settings()
    lanes, meters = Lanes(settings), Meters()

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with build(settings, client) as rooms:
            app.state.rooms = rooms
            meters.registry.register(Occupancy(lanes, rooms.pools, rooms.streams))
            meters.registry.register(rooms.figures)
            yield

    # Its documentation pages come from here, not from somebody's network.
    app = FastAPIOffline(
        title="Pitstop",
        version="0.1.0",
        summary="Bookings that cannot be lost, doubled or half-done.",
        lifespan=lifespan,
        separate_input_output_schemas=False,
        redirect_slashes=False,
    )
    problems.install(app)
    openapi.install(app)
    # The last is the outermost: what is measured is what clients see, and what waits has been read within its limit.
    app.add_middleware(Shedding, lanes=lanes, body_seconds=settings.body_seconds)
    app.add_middleware(BodyLimit)
    app.add_middleware(Measuring, meters=meters)
    app.state.registry = meters.registry
    for routes in (catalogue, bookings, invites, webhooks, operations, pages):
        app.include_router(routes.router)
    app.mount("/static", StaticFiles(directory=pages.WEB / "static"), name="static")
    return app


logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
logging.getLogger("httpx").setLevel(logging.WARNING)
app = create_app()
