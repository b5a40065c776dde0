"""Stripe as the audit reads it, through its official client: lists by the page, single objects where need be."""

import asyncio
from collections.abc import AsyncIterator, Collection, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import stripe

from pitstop.audit.ports import AuditImpossible
from pitstop.domain.audit.facts import StripeIntent, StripeRefund

# The most that Stripe lists at once.
PAGE = 100
# Stripe allows a hundred reads a second in live mode, and fewer in a sandbox: the audit leaves most of them to others.
AT_ONCE = 5


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except stripe.StripeError as error:
        raise AuditImpossible(f"Stripe: {error!r}") from error


class StripeLedger:
    """Implements the port `Ledger`."""

    def __init__(self, client: stripe.StripeClient) -> None:
        self._client = client.v1
        self._slots = asyncio.Semaphore(AT_ONCE)

    async def intents(self, ids: Collection[str]) -> list[StripeIntent]:
        found = await asyncio.gather(*(self._intent(id) for id in ids))
        return [intent for intent in found if intent is not None]

    async def _intent(self, id: str) -> StripeIntent | None:
        async with self._slots:
            try:
                with _translated():
                    return _intent(await self._client.payment_intents.retrieve_async(id, {"expand": ["latest_charge"]}))
            except AuditImpossible as failure:
                if _is_missing(failure.__cause__):
                    return None
                raise

    async def intents_made(self, begin: datetime | None, end: datetime | None) -> AsyncIterator[list[StripeIntent]]:
        with _translated():
            page = await self._client.payment_intents.list_async(
                {"limit": PAGE, "expand": ["data.latest_charge"], "created": _made(begin, end)}
            )
            while page.data:
                yield [intent for each in page.data if (intent := _intent(each)).booking_id is not None]
                if not page.has_more:
                    return
                page = await page.next_page_async()

    async def refunds_of(self, payment_intent_id: str) -> list[StripeRefund]:
        async with self._slots:
            with _translated():
                page = await self._client.refunds.list_async({"payment_intent": payment_intent_id, "limit": PAGE})
                return [_refund(each) async for each in page.auto_paging_iter()]

    async def refunds_made(self, since: datetime) -> AsyncIterator[list[StripeRefund]]:
        with _translated():
            page = await self._client.refunds.list_async(
                {"limit": PAGE, "expand": ["data.payment_intent"], "created": _made(since, None)}
            )
            while page.data:
                yield [refund for each in page.data if (refund := _refund(each)).booking_id is not None]
                if not page.has_more:
                    return
                page = await page.next_page_async()


def _made(begin: datetime | None, end: datetime | None) -> Any:
    """The parameter `created`. Stripe counts in whole seconds: one more on each side."""
    latest = datetime.now(UTC) + timedelta(days=1) if end is None else end
    span = {"lte": int(latest.timestamp()) + 1}
    return span if begin is None else span | {"gte": int(begin.timestamp()) - 1}


def _intent(intent: stripe.PaymentIntent) -> StripeIntent:
    charge = intent.latest_charge if isinstance(intent.latest_charge, stripe.Charge) else None
    captured = charge is not None and charge.captured and charge.paid
    return StripeIntent(
        id=intent.id,
        booking_id=_booking(intent.metadata),
        status=intent.status,
        amount=intent.amount,
        currency=intent.currency,
        received=intent.amount_received or 0,
        refunded=charge.amount_refunded if charge else 0,
        created=_instant(intent.created),
        paid_at=_instant(charge.created) if captured and charge else None,
    )


def _refund(refund: stripe.Refund) -> StripeRefund:
    intent = refund.payment_intent
    whole = isinstance(intent, stripe.PaymentIntent)
    return StripeRefund(
        id=refund.id,
        payment_intent_id=intent.id if isinstance(intent, stripe.PaymentIntent) else (intent or ""),
        booking_id=_booking(intent.metadata) if whole and isinstance(intent, stripe.PaymentIntent) else None,
        amount=refund.amount,
        currency=refund.currency,
        status=refund.status or "",
        created=_instant(refund.created),
    )


def _booking(metadata: Any) -> UUID | None:
    try:
        return UUID(metadata["booking_id"])
    except (KeyError, TypeError, ValueError):
        return None


def _instant(seconds: int) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


def _is_missing(error: BaseException | None) -> bool:
    return isinstance(error, stripe.InvalidRequestError) and error.code == "resource_missing"
