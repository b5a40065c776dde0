"""The doors: the FastAPI application. Run: uvicorn api.app:app."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI
from fastapi.staticfiles import StaticFiles
from fastapi_offline import FastAPIOffline
from temporalio.client import Client

from api import openapi, problems
from api.audit_log import Audited
from api.composition import build
from api.limits import BodyLimit
from api.routes import bookings, catalogue, codec, invites, operations, pages, privacy, sign_in, webhooks
from pitstop import logs
from pitstop.settings import Settings


def create_app(settings: Settings | None = None, client: Client | None = None) -> FastAPI:
    """The application; settings come from the environment unless given, as does the connection to the engine."""
    settings = settings or Settings()

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with build(settings, client) as rooms:
            app.state.rooms = rooms
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
    app.add_middleware(BodyLimit)
    app.add_middleware(Audited, settings=settings)
    for routes in (catalogue, bookings, invites, privacy, webhooks, codec, sign_in, operations, pages):
        app.include_router(routes.router)
    app.mount("/static", StaticFiles(directory=pages.WEB / "static"), name="static")
    return app


logs.configure(quiet=("httpx",))
app = create_app()
