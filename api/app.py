"""The doors: the FastAPI application. Run: python -m api."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI
from fastapi.staticfiles import StaticFiles
from fastapi_offline import FastAPIOffline
from temporalio.client import Client

from api import access_log, guard, openapi, problems
from api.audit_log import Audited
from api.composition import build
from api.limits import BodyLimit
from api.metrics import Measuring, Meters, Occupancy
from api.routes import (
    audits,
    bookings,
    catalogue,
    changes,
    codec,
    feeds,
    invites,
    join_pages,
    mechanics,
    notices,
    operations,
    pages,
    pay_pages,
    privacy,
    proposal_pages,
    proposals,
    referral_pages,
    referrals,
    short_links,
    sign_in,
    texts,
    waitlist,
    waiver_pages,
    waivers,
    webhooks,
    workshop_words,
    workshops,
)
from api.shedding import Lanes, Shedding
from pitstop import logs
from pitstop.release import RELEASE
from pitstop.settings import Settings, from_environment


def create_app(settings: Settings | None = None, client: Client | None = None) -> FastAPI:
    """The application; settings come from the environment unless given, as does the connection to the engine."""
    settings = settings or from_environment()
    lanes, meters = Lanes(settings), Meters()

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with build(settings, client) as rooms:
            app.state.rooms = rooms
            meters.registry.register(Occupancy(lanes, rooms.pools, rooms.streams))
            meters.registry.register(rooms.figures)
            yield

    # What its documentation page is made of comes from here, not from somebody's network; the page is ours.
    app = FastAPIOffline(
        docs_url=None,
        redoc_url=None,
        title="Pitstop",
        version=RELEASE,
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
    app.add_middleware(Audited, settings=settings)
    app.add_middleware(Measuring, meters=meters)
    app.state.registry = meters.registry
    guard.install(app, settings)
    doors = (
        *(catalogue, bookings, changes, proposals, waitlist, workshops, workshop_words, referrals),
        *(notices, invites, waivers, mechanics, feeds, privacy, webhooks, texts, codec, sign_in, operations),
        *(audits, pages, pay_pages, join_pages, proposal_pages, waiver_pages, referral_pages, short_links),
    )
    for routes in doors:
        app.include_router(routes.router)
    app.include_router(audits.page)
    app.mount("/static", StaticFiles(directory=pages.WEB / "static"), name="static")
    return app


# What is told of fonts names the letters of names.
logs.configure(quiet=("httpx", "fontTools", "fpdf"))
access_log.install()
app = create_app()
