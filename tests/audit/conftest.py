"""A house of these tests' own: database, API and worker; the engine, Stripe and the mail server are the stack's."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any
from uuid import uuid4

import asyncpg
import httpx
import pytest
from temporalio.client import Client

import worker
from pitstop.audit.composition import audit_pool, build
from pitstop.devstack.stackfile import Stack
from pitstop.gateways.stripe_payments import stripe_client
from pitstop.postgres.audit import PostgresRecords
from tests.audit.house import House
from tests.support.databases import fresh_database
from tests.support.processes import serving, settings
from tests.support.shop import open_shop
from tests.support.stripe_control import StripeControl

# A booking in each of the states that the product reaches.
States = dict[str, dict[str, Any]]


@pytest.fixture(scope="package")
async def house(stack: Stack, temporal: Client, http: httpx.AsyncClient) -> AsyncIterator[House]:
    async with fresh_database(stack) as urls, asyncpg.create_pool(urls.superuser, min_size=0, max_size=3) as database:
        changed = settings(
            stack,
            api_database_url=urls.api,
            worker_database_url=urls.worker,
            audit_database_url=urls.audit,
            task_queue=f"audited-{uuid4()}",
            audit_settle_seconds=0.5,
            # Nothing in these tests waits for nobody to take it.
            immediate_seconds=86400,
        )
        shop = await open_shop(database)
        control = StripeControl(http, stack, {"mechanic_id": str(shop.mechanic_id)})
        async with (
            worker.at_work(temporal, changed),
            serving(changed) as url,
            audit_pool(changed) as pool,
            stripe_client(changed) as payments,
        ):
            await control.endpoint(f"{url}/webhooks/stripe", stack.stripe_webhook_secret)
            office, records = build(pool, payments, temporal, changed), PostgresRecords(pool)
            yield House(stack, temporal, http, changed, database, shop, url, control, office, records, payments)
        await control.tidy()


@pytest.fixture(scope="package")
async def states(house: House) -> States:
    begun = {
        "confirmed": house.confirmed(),
        "other": house.confirmed(),
        "expired": house.expired(),
        "cancelled": house.cancelled(),
        "cancelled_late": house.cancelled_late(),
        "moved": house.moved(),
        "to_pay": house.to_pay(),
        "paid_more": house.paid_more(),
        "paid_less": house.paid_less(),
        "moved_late_and_cancelled": house.moved_late_and_cancelled(),
        "started": house.started(),
        "missed": house.missed(),
        "left_alone": house.missed("mechanic"),
        "completed": house.completed(),
        "pending": house.pending(),
        "taken": house.pending(),
    }
    waiting = asyncio.ensure_future(house.awaiting())
    others = await asyncio.gather(*begun.values())
    there = {"awaiting": (await waiting)[1], **dict(zip(begun, others, strict=True))}
    return there | {"taken": await house.taken(there["taken"])}
