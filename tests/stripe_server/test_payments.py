"""PaymentIntents by the official client: created, confirmed, declined, authenticated, canceled."""

from typing import Any

import httpx
import pytest
import stripe

from tests.stripe_server.conftest import PUBLISHABLE_KEY, Receiver, Server, client_of

Mark = dict[str, str]

DECLINES = [
    ("4000000000000002", "pm_card_visa_chargeDeclined", "card_declined", "generic_decline"),
    ("4000000000009995", "pm_card_visa_chargeDeclinedInsufficientFunds", "card_declined", "insufficient_funds"),
    ("4000000000009987", "pm_card_visa_chargeDeclinedLostCard", "card_declined", "lost_card"),
    ("4000000000009979", "pm_card_visa_chargeDeclinedStolenCard", "card_declined", "stolen_card"),
    ("4000000000000069", "pm_card_chargeDeclinedExpiredCard", "expired_card", None),
    ("4000000000000127", "pm_card_chargeDeclinedIncorrectCvc", "incorrect_cvc", None),
    ("4000000000000119", "pm_card_chargeDeclinedProcessingError", "processing_error", None),
]


async def create(client: stripe.StripeClient, mark: Mark, **more: Any) -> stripe.PaymentIntent:
    params: Any = {"amount": 4500, "currency": "eur", "metadata": mark, "automatic_payment_methods": {"enabled": True}}
    return await client.v1.payment_intents.create_async(params | more)


def card(number: str, **more: Any) -> Any:
    details = {"number": number, "exp_month": 12, "exp_year": 2034, "cvc": "123"} | more
    return {"payment_method_data": {"type": "card", "card": details}}


async def test_a_payment_from_creation_to_its_events(client: stripe.StripeClient, mark: Mark, inbox: Receiver) -> None:
    intent = await create(client, mark, description="Oil change", receipt_email="ada@example.com")
    assert (intent.status, intent.amount, intent.metadata.to_dict()) == ("requires_payment_method", 4500, mark)
    paid = await client.v1.payment_intents.confirm_async(
        intent.id, {"payment_method": "pm_card_visa", "expand": ["latest_charge"]}
    )
    assert (paid.status, paid.amount_received) == ("succeeded", 4500)
    assert isinstance(paid.latest_charge, stripe.Charge)
    assert paid.latest_charge.payment_method_details is not None
    assert (paid.latest_charge.captured, paid.latest_charge.metadata.to_dict()) == (True, mark)
    await inbox.until(lambda types: len(types) == 3)
    assert set(inbox.types) == {"payment_intent.created", "charge.succeeded", "payment_intent.succeeded"}
    assert {event.api_version for event in inbox.events} == {stripe.api_version}
    created = next(event for event in inbox.events if event.type == "payment_intent.created")
    assert created.data.object["status"] == "requires_payment_method", "the snapshot of then"


@pytest.mark.parametrize(("number", "method", "code", "decline_code"), DECLINES)
async def test_each_test_card_declines_as_documented(
    client: stripe.StripeClient, mark: Mark, number: str, method: str, code: str, decline_code: str | None
) -> None:
    intent = await create(client, mark)
    ways: list[Any] = [card(number), {"payment_method": method}]
    for params in ways:
        with pytest.raises(stripe.CardError) as refused:
            await client.v1.payment_intents.confirm_async(intent.id, params)
        error = refused.value.error
        assert error is not None
        assert (refused.value.http_status, error.type, error.code) == (402, "card_error", code)
        assert getattr(error, "decline_code", None) == decline_code
        after = await client.v1.payment_intents.retrieve_async(intent.id)
        assert after.status == "requires_payment_method"
        assert after.last_payment_error is not None
        assert after.last_payment_error.code == code
        assert after.latest_charge == error.charge
    charges = await client.v1.charges.list_async({"payment_intent": intent.id})
    assert [charge.status for charge in charges.data] == ["failed", "failed"]


async def test_a_second_card_pays_after_a_decline(client: stripe.StripeClient, mark: Mark, inbox: Receiver) -> None:
    intent = await create(client, mark)
    with pytest.raises(stripe.CardError):
        await client.v1.payment_intents.confirm_async(intent.id, card("4000000000000002"))
    paid = await client.v1.payment_intents.confirm_async(intent.id, card("5555555555554444"))
    assert (paid.status, paid.last_payment_error) == ("succeeded", None)
    await inbox.until(lambda types: len(types) == 5)
    assert {"charge.failed", "payment_intent.payment_failed", "payment_intent.succeeded"} <= set(inbox.types)


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"number": "4242424242424241"}, "incorrect_number"),
        ({"exp_year": 2001}, "invalid_expiry_year"),
        ({"exp_month": 13}, "invalid_expiry_month"),
        ({"cvc": "1"}, "invalid_cvc"),
        ({"number": "4111111111111111"}, "card_declined"),
    ],
)
async def test_impossible_card_details_never_reach_a_bank(
    client: stripe.StripeClient, mark: Mark, change: Any, code: str
) -> None:
    intent = await create(client, mark)
    with pytest.raises(stripe.CardError) as refused:
        await client.v1.payment_intents.confirm_async(intent.id, card(**({"number": "4242424242424242"} | change)))
    assert refused.value.code == code
    assert (await client.v1.payment_intents.retrieve_async(intent.id)).latest_charge is None


@pytest.mark.parametrize("method", ["pm_card_threeDSecure2Required", "4000002500003155", "4000002760003184"])
@pytest.mark.parametrize("verdict", ["complete", "fail"])
async def test_three_d_secure(
    client: stripe.StripeClient, mark: Mark, inbox: Receiver, http: httpx.AsyncClient, method: str, verdict: str
) -> None:
    how: Any = {"payment_method": method} if method.startswith("pm_") else card(method)
    intent = await create(client, mark)
    back = "https://pitstop.example/return?x=1"
    waiting = await client.v1.payment_intents.confirm_async(intent.id, how | {"return_url": back})
    assert waiting.status == "requires_action"
    assert waiting.next_action is not None
    assert waiting.next_action.redirect_to_url is not None
    page = str(waiting.next_action.redirect_to_url.url)
    assert 'id="complete"' in (await http.get(page)).text
    answer = await http.post(f"{page}/{verdict}")
    status = "succeeded" if verdict == "complete" else "failed"
    assert answer.status_code == 303
    assert answer.headers["location"].startswith(f"{back}&payment_intent={intent.id}&")
    assert answer.headers["location"].endswith(f"redirect_status={status}")
    assert (await http.post(f"{page}/complete")).status_code == 410, "a step is over once"
    final = await client.v1.payment_intents.retrieve_async(intent.id)
    expected = "payment_intent.succeeded" if verdict == "complete" else "payment_intent.payment_failed"
    await inbox.until(lambda types: expected in types and "payment_intent.requires_action" in types)
    if verdict == "complete":
        assert final.status == "succeeded"
    else:
        assert final.last_payment_error is not None
        assert final.last_payment_error.code == "payment_intent_authentication_failure"


async def test_a_canceled_payment_cannot_be_authenticated(
    client: stripe.StripeClient, mark: Mark, http: httpx.AsyncClient
) -> None:
    intent = await create(client, mark, confirm=True, payment_method="pm_card_authenticationRequired")
    assert intent.next_action is not None
    assert intent.next_action.redirect_to_url is not None
    await client.v1.payment_intents.cancel_async(intent.id)
    assert (await http.post(f"{intent.next_action.redirect_to_url.url}/complete")).status_code == 410
    assert (await client.v1.payment_intents.retrieve_async(intent.id)).status == "canceled"


async def test_cancel_and_what_it_refuses(client: stripe.StripeClient, mark: Mark, inbox: Receiver) -> None:
    intent = await create(client, mark)
    canceled = await client.v1.payment_intents.cancel_async(intent.id, {"cancellation_reason": "abandoned"})
    assert (canceled.status, canceled.cancellation_reason) == ("canceled", "abandoned")
    paid = await create(client, mark, confirm=True, payment_method="pm_card_visa")
    for identifier, status in ((intent.id, "canceled"), (paid.id, "succeeded")):
        with pytest.raises(stripe.InvalidRequestError) as refused:
            await client.v1.payment_intents.cancel_async(identifier)
        assert (refused.value.http_status, refused.value.code) == (400, "payment_intent_unexpected_state")
        assert refused.value.error is not None
        assert refused.value.error.payment_intent is not None
        assert refused.value.error.payment_intent.status == status
    with pytest.raises(stripe.InvalidRequestError) as refused:
        await client.v1.payment_intents.confirm_async(intent.id, {"payment_method": "pm_card_visa"})
    assert refused.value.code == "payment_intent_unexpected_state"
    await inbox.until(lambda types: "payment_intent.canceled" in types)


async def test_an_update_merges_metadata(client: stripe.StripeClient, mark: Mark) -> None:
    intent = await create(client, mark | {"gone": "soon"})
    changed = await client.v1.payment_intents.update_async(
        intent.id, {"metadata": {"gone": "", "new": "1"}, "amount": 99}
    )
    assert (changed.metadata.to_dict(), changed.amount) == (mark | {"new": "1"}, 99)


async def test_a_browser_confirms_and_reads_with_the_client_secret_only(
    server: Server, client: stripe.StripeClient, mark: Mark
) -> None:
    browser = client_of(server, PUBLISHABLE_KEY)
    intent = await create(client, mark)
    with pytest.raises(stripe.InvalidRequestError) as refused:
        await browser.v1.payment_intents.retrieve_async(intent.id, {"client_secret": "wrong"})
    assert refused.value.code == "payment_intent_invalid_parameter"
    secret: Any = {"client_secret": intent.client_secret}
    paid = await browser.v1.payment_intents.confirm_async(intent.id, card("4242424242424242") | secret)
    assert paid.status == "succeeded"
    assert "metadata" not in paid.to_dict()
    assert (await browser.v1.payment_intents.retrieve_async(intent.id, secret)).status == "succeeded"
    with pytest.raises(stripe.AuthenticationError) as unauthorised:
        await browser.v1.payment_intents.cancel_async(intent.id)
    assert unauthorised.value.error is not None
    assert unauthorised.value.error.code == "secret_key_required"
