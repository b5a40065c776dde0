"""What the API is made of: the adapters, built once at start, and how routes get them."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Annotated, cast

import httpx
from fastapi import Depends, Request
from temporalio.client import Client

from api.audit_gauges import LastAudit
from api.figures import Backlogs, Figures
from api.rates import RateLimiter
from api.streams import Streams
from pitstop.gateways.feed_links import FeedLinks
from pitstop.gateways.holiday_library import HolidayLibrary
from pitstop.gateways.manage_links import ManageLinks
from pitstop.gateways.operator_sessions import OperatorSessions
from pitstop.gateways.payload_codec import EncryptingCodec, payload_codec
from pitstop.gateways.pseudonyms import NumberNames, Pseudonyms
from pitstop.gateways.referral_links import ReferralLinks
from pitstop.gateways.short_links import ShortLinks
from pitstop.gateways.temporal_engine import TemporalEngine, connect
from pitstop.gateways.tokens import TokenVerifier
from pitstop.postgres.audit_board import AuditBoard
from pitstop.postgres.audit_log import AuditLog
from pitstop.postgres.catalogue import Catalogue
from pitstop.postgres.dashboards import Dashboards
from pitstop.postgres.desk import BookingDesk
from pitstop.postgres.feeds import MechanicFeeds
from pitstop.postgres.inbox import PostgresInbox
from pitstop.postgres.limits import SharedBudgets
from pitstop.postgres.pool import Pool, open_pool
from pitstop.postgres.pulse import Pulse
from pitstop.postgres.referrals import Referrals
from pitstop.postgres.resending import NoticeBoard
from pitstop.postgres.rules import MechanicRules
from pitstop.postgres.texts import TextNews
from pitstop.postgres.waitlist_desk import WaitlistDesk
from pitstop.postgres.waivers import Waivers
from pitstop.postgres.workshops import Workshops
from pitstop.settings import Settings

_CONNECTIONS_FOR_LIMITS = 2
_PATIENCE_WITH_LIMITS_SECONDS = 1.0

# Somebody waits for the answer: what takes longer than this is as good as no answer.
_QUERY_SECONDS = 6


@dataclass(frozen=True, slots=True)
class Rooms:
    """The adapters that routes use."""

    settings: Settings
    desk: BookingDesk
    waitlist: WaitlistDesk
    catalogue: Catalogue
    rules: MechanicRules
    feeds: MechanicFeeds
    inbox: PostgresInbox
    texts: TextNews
    board: NoticeBoard
    audits: AuditBoard
    engine: TemporalEngine
    tokens: TokenVerifier
    links: ManageLinks
    short_links: ShortLinks
    feed_links: FeedLinks
    names: Pseudonyms
    numbers: NumberNames
    rates: RateLimiter
    pulse: Pulse
    streams: Streams
    figures: Figures
    pools: dict[str, Pool]
    audit: AuditLog
    codec: EncryptingCodec
    sessions: OperatorSessions
    waivers: Waivers
    workshops: Workshops
    referrals: Referrals
    referral_links: ReferralLinks
    dashboards: Dashboards


@asynccontextmanager
async def build(settings: Settings, client: Client | None = None) -> AsyncIterator[Rooms]:
    """Asks nothing of a dependency yet: the API starts while they are away, and /health/ready says that they are."""
    links = ManageLinks(settings)
    url, wait = settings.api_database_url, settings.database_wait_seconds
    async with (
        # Of their own: a limit that waited behind the searches which it should keep away would be none.
        open_pool(url, _CONNECTIONS_FOR_LIMITS, "pitstop-limits", _PATIENCE_WITH_LIMITS_SECONDS) as limits,
        open_pool(url, settings.database_pool_size, "pitstop-api", wait, _QUERY_SECONDS) as pool,
        # Whatever else is asked, Stripe's news are stored, and whoever looks after the API gets an answer.
        open_pool(url, settings.database_spare_connections, "pitstop-api-spare", wait, _QUERY_SECONDS) as spare,
        Streams(pulse := Pulse(spare), settings.streams_at_once, settings.streams_per_caller).watched() as streams,
        httpx.AsyncClient(timeout=5) as http,
    ):
        audits = AuditBoard(pool)
        yield Rooms(
            settings=settings,
            desk=BookingDesk(pool),
            waitlist=WaitlistDesk(pool),
            catalogue=Catalogue(pool),
            rules=MechanicRules(pool, HolidayLibrary(), timedelta(seconds=settings.offline_flag_seconds)),
            feeds=MechanicFeeds(pool),
            inbox=PostgresInbox(spare),
            texts=TextNews(spare),
            board=NoticeBoard(pool),
            audits=audits,
            engine=TemporalEngine(client or await connect(settings, lazy=True), settings),
            tokens=TokenVerifier(settings, http),
            links=links,
            short_links=ShortLinks(settings),
            feed_links=FeedLinks(settings),
            names=Pseudonyms(settings),
            numbers=NumberNames(settings),
            rates=RateLimiter(SharedBudgets(limits, _PATIENCE_WITH_LIMITS_SECONDS)),
            pulse=pulse,
            streams=streams,
            figures=Figures([Backlogs(pulse), LastAudit(audits)]),
            pools={"main": pool, "spare": spare},
            audit=AuditLog(pool),
            codec=payload_codec(settings),
            sessions=OperatorSessions(settings),
            waivers=Waivers(pool, timedelta(days=settings.waiver_retention_days)),
            workshops=Workshops(pool),
            referrals=Referrals(pool, timedelta(days=settings.referral_days)),
            referral_links=ReferralLinks(settings),
            dashboards=Dashboards(pool),
        )


# Without `async` a dependency runs in a thread: a hop there and back costs more than all that it does.
async def _rooms(request: Request) -> Rooms:
    return cast(Rooms, request.app.state.rooms)


InRooms = Annotated[Rooms, Depends(_rooms)]
