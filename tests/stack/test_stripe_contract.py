"""What the production code sends to Stripe, checked against Stripe's own OpenAPI by its `stripe-mock`."""

import asyncio
import os
import shutil
import subprocess
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import httpx
import pytest
import stripe

from pitstop.audit.ports import AuditImpossible
from pitstop.devstack.addresses import HOST
from pitstop.domain.saga import IntentState, OwedRefund, PaymentTerms
from pitstop.gateways import stripe_ledger
from pitstop.gateways.stripe_ledger import StripeLedger
from pitstop.gateways.stripe_payments import StripePayments, stripe_client
from pitstop.ports import PaymentsRefused
from pitstop.settings import Settings
from tests.support.processes import ROOT, free_port

VERSION = "v0.203.0"


@pytest.fixture(scope="module")
def stripe_mock() -> Path:
    """The program, built once into .cache; skipped where there is neither Go nor a way to its modules."""
    go = shutil.which("go")
    program = ROOT / ".cache" / "bin" / "stripe-mock"
    if program.exists():
        return program
    if go is None:
        pytest.skip("stripe-mock is built with Go, which is not installed")
    environment = dict(os.environ) | {"GOBIN": str(program.parent)}
    built = subprocess.run(
        [go, "install", f"github.com/stripe/stripe-mock@{VERSION}"], env=environment, capture_output=True, text=True
    )
    if built.returncode != 0:
        pytest.skip(f"stripe-mock could not be built: {built.stderr[-300:]}")
    return program


@pytest.fixture
async def client(stripe_mock: Path) -> AsyncIterator[stripe.StripeClient]:
    port, other = free_port(), free_port()
    process = await asyncio.create_subprocess_exec(
        *(str(stripe_mock), "-http-addr", f"{HOST}:{port}", "-https-addr", f"{HOST}:{other}"),
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )
    url = f"http://{HOST}:{port}"
    try:
        await _until_up(url)
        settings = Settings.model_validate({"stripe_api_url": url, "stripe_secret_key": "sk_test_123"})
        async with stripe_client(settings) as client:
            yield client
    finally:
        process.kill()
        await process.wait()


@pytest.fixture
def payments(client: stripe.StripeClient) -> StripePayments:
    return StripePayments(client)


@pytest.fixture
def ledger(client: stripe.StripeClient) -> StripeLedger:
    return StripeLedger(client)


async def _until_up(url: str) -> None:
    async with httpx.AsyncClient() as client:
        for _ in range(100):
            try:
                await client.get(url)
                return
            except httpx.TransportError:
                await asyncio.sleep(0.1)
    raise RuntimeError("stripe-mock does not answer")


def _terms(**changes: object) -> PaymentTerms:
    agreed = {
        "amount": 8900,
        "currency": "cad",
        "customer_email": "camille@example.com",
        "mechanic_id": uuid4(),
        "start": datetime.now(UTC),
        "service_name": "Brake check",
    }
    return PaymentTerms(**(agreed | changes))  # type: ignore[arg-type]


async def test_everything_that_is_sent_is_what_stripe_documents(payments: StripePayments) -> None:
    intent = await payments.create_intent(uuid4(), uuid4(), _terms())
    assert intent.id.startswith("pi_")
    for awaited in (True, False):
        assert await payments.cancel_intent(intent.id, awaited=awaited) is IntentState.CANCELED
    owed = OwedRefund(f"refund/{intent.id}/full", intent.id, 8900, "slot_gone", datetime.now(UTC))
    for since in (owed.requested_at, owed.requested_at - timedelta(days=2)):
        assert (await payments.refund(replace(owed, requested_at=since))).startswith(("re_", "pyr_"))
    assert (await payments._client.v1.payment_intents.retrieve_async(intent.id)).id
    assert (await payments.received(intent.id))[1]
    await payments.forget_address(intent.id)


async def test_all_that_the_audit_reads_is_what_stripe_documents(ledger: StripeLedger) -> None:
    """Its lists, with the charges and payments in them that it has Stripe send along."""
    now = datetime.now(UTC)
    [intent] = await ledger.intents(["pi_1"])
    assert intent.id.startswith("pi_")
    assert intent.amount > 0
    refunds = await ledger.refunds_of(intent.id)
    assert [refund.amount > 0 for refund in refunds] == [True]
    for begin, end in ((now - timedelta(days=1), now), (None, now), (now - timedelta(days=1), None)):
        assert [page async for page in ledger.intents_made(begin, end)], "a page, though of nobody's bookings"
    assert [page async for page in ledger.refunds_made(now - timedelta(days=1))]


async def test_the_check_of_what_the_audit_reads_can_fail(
    ledger: StripeLedger, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A control: a span of time in words that Stripe does not know."""
    monkeypatch.setattr(stripe_ledger, "_made", lambda begin, end: {"gte": "noon"})
    with pytest.raises(AuditImpossible):
        assert [page async for page in ledger.intents_made(None, None)]
    with pytest.raises(AuditImpossible):
        assert [page async for page in ledger.refunds_made(datetime.now(UTC))]


async def test_the_check_of_an_erasure_can_fail(client: stripe.StripeClient) -> None:
    """A control: the address is cleared by an empty word, and by nothing else."""
    with pytest.raises(stripe.InvalidRequestError):
        await client.v1.payment_intents.update_async("pi_1", {"receipt_email": {"gone": "yes"}})  # type: ignore[arg-type]


async def test_the_check_can_fail(payments: StripePayments) -> None:
    """A control: an amount that is no integer is refused by Stripe's own description of the call."""
    with pytest.raises(PaymentsRefused):
        await payments.create_intent(uuid4(), uuid4(), _terms(amount="a lot"))
