"""Puts the server together."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from pitstop.devstack.stripe_server import control, pages
from pitstop.devstack.stripe_server.api import Api
from pitstop.devstack.stripe_server.config import Config
from pitstop.devstack.stripe_server.dispatch import Dispatcher
from pitstop.devstack.stripe_server.errors import error_answer, internal_error, unknown_url
from pitstop.devstack.stripe_server.parts import Parts


def build_app(config: Config) -> FastAPI:
    """Opens the database at once; webhooks go out while the application runs."""
    parts = Parts.open(config)
    app = FastAPI(title="Stripe of the dev stack", lifespan=_lifespan, redoc_url=None)
    app.state.parts = parts
    api = Api(config, parts.database, parts.calls, parts.objects, parts.outbox, parts.faults)

    async def serve(request: Request) -> Response:
        return await api(request, request.app.state.dispatcher)

    app.add_route("/v1/{path:path}", serve, methods=["GET", "POST", "DELETE", "PUT", "PATCH"], include_in_schema=False)
    app.include_router(control.router)
    app.include_router(pages.router)
    _answer_errors_as_stripe(app)
    # Browsers call it from another origin with a publishable key, as they call Stripe.
    app.add_middleware(
        CORSMiddleware, allow_origins=["*"], allow_methods=["*"], allow_headers=["*"], expose_headers=["*"]
    )
    return app


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    parts: Parts = app.state.parts
    app.state.dispatcher = Dispatcher(parts.config, parts.database, parts.objects, parts.outbox, parts.rules)
    running = asyncio.create_task(app.state.dispatcher.run())
    yield
    running.cancel()
    with suppress(asyncio.CancelledError):
        await running
    parts.database.close()


def _answer_errors_as_stripe(app: FastAPI) -> None:
    async def refused(request: Request, error: Exception) -> Response:
        status = error.status_code if isinstance(error, HTTPException) else 500
        detail = str(error.detail) if isinstance(error, HTTPException) else ""
        if status in (404, 405) and detail in ("Not Found", "Method Not Allowed"):
            return _json(unknown_url(request.method, request.url.path).answer.body, 404)
        return _json(error_answer(status, detail).body, status)

    async def malformed(_: Request, error: Exception) -> Response:
        faults = error.errors() if isinstance(error, RequestValidationError) else []
        first = faults[0] if faults else {"loc": (), "msg": "malformed"}
        param = ".".join(str(part) for part in first["loc"][1:])
        return _json(error_answer(400, f"{param}: {first['msg']}", param=param).body, 400)

    async def broken(_: Request, __: Exception) -> Response:
        return _json(internal_error().answer.body, 500)

    app.add_exception_handler(HTTPException, refused)
    app.add_exception_handler(RequestValidationError, malformed)
    app.add_exception_handler(Exception, broken)


def _json(body: dict[str, object], status: int) -> Response:
    return JSONResponse(body, status)
