"""What the API is made of: the adapters, built once at start, and how routes get them."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Annotated, cast

import httpx
from fastapi import Depends, Request
from temporalio.client import Client

from pitstop.gateways.manage_links import ManageLinks
from pitstop.gateways.operator_sessions import OperatorSessions
from pitstop.gateways.payload_codec import EncryptingCodec, payload_codec
from pitstop.gateways.temporal_engine import TemporalEngine, connect
from pitstop.gateways.tokens import TokenVerifier
from pitstop.postgres.audit_log import AuditLog
from pitstop.postgres.catalogue import Catalogue
from pitstop.postgres.desk import BookingDesk
from pitstop.postgres.inbox import PostgresInbox
from pitstop.postgres.pool import open_pool
from pitstop.settings import Settings


@dataclass(frozen=True, slots=True)
class Rooms:
    """The adapters that routes use."""

    settings: Settings
    desk: BookingDesk
    catalogue: Catalogue
    inbox: PostgresInbox
    engine: TemporalEngine
    tokens: TokenVerifier
    links: ManageLinks
    audit: AuditLog
    codec: EncryptingCodec
    sessions: OperatorSessions


@asynccontextmanager
async def build(settings: Settings, client: Client | None = None) -> AsyncIterator[Rooms]:
    """Asks nothing of a dependency yet: the API starts while they are away, and /health/ready says that they are."""
    links = ManageLinks(settings)
    async with (
        open_pool(settings.api_database_url, settings.database_pool_size, "pitstop-api") as pool,
        httpx.AsyncClient(timeout=5) as http,
    ):
        yield Rooms(
            settings=settings,
            desk=BookingDesk(pool),
            catalogue=Catalogue(pool),
            inbox=PostgresInbox(pool),
            engine=TemporalEngine(client or await connect(settings, lazy=True), settings),
            tokens=TokenVerifier(settings, http),
            links=links,
            audit=AuditLog(pool),
            codec=payload_codec(settings),
            sessions=OperatorSessions(settings),
        )


def _rooms(request: Request) -> Rooms:
    return cast(Rooms, request.app.state.rooms)


InRooms = Annotated[Rooms, Depends(_rooms)]
