"""Puts the server together."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import Response

from pitstop.devstack.sqlite_file import open_database
from pitstop.devstack.twilio_server import control, pages
from pitstop.devstack.twilio_server.api import Api, Parts
from pitstop.devstack.twilio_server.config import API_VERSION, Config
from pitstop.devstack.twilio_server.delivery import Deliveries
from pitstop.devstack.twilio_server.storage import SCHEMA, Calls, Messages, OptOuts, Rules


def build_app(config: Config) -> FastAPI:
    """Opens the database at once; callbacks go out while the application runs."""
    database = open_database(config.data, SCHEMA)
    messages = Messages(database)
    deliveries = Deliveries(config, database, messages)
    parts = Parts(config, database, messages, OptOuts(database), Calls(database), Rules(database), deliveries)
    app = FastAPI(title="Twilio of the dev stack", lifespan=_lifespan, redoc_url=None)
    app.state.parts = parts
    api = Api(parts)

    async def serve(request: Request) -> Response:
        return await api(request)

    path = f"/{API_VERSION}/{{path:path}}"
    app.add_route(path, serve, methods=["GET", "POST", "DELETE", "PUT", "PATCH"], include_in_schema=False)
    app.include_router(control.router)
    app.include_router(pages.router)
    return app


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    parts: Parts = app.state.parts
    running = asyncio.create_task(parts.deliveries.run())
    yield
    running.cancel()
    with suppress(asyncio.CancelledError):
        await running
    parts.database.close()
