"""What worker and API log on good days and bad ones: no secrets, no people, no cards."""

import logging
from uuid import uuid4

import asyncpg
import httpx
import pytest
from pydantic import BaseModel, ValidationError

from pitstop import logs
from pitstop.devstack.stackfile import Stack
from pitstop.ports import MailNotAccepted
from tests.gateways.samples import mail
from tests.gateways.test_smtp_refusals import scripted, send_to
from tests.privacy.conftest import Words
from tests.support import stack as stacks
from tests.support.people import DECLINED_CARD, Customer
from tests.support.shop import Shop
from tests.support.stripe_control import StripeControl
from tests.support.time import Clock

CARD = "4242 4242 4242 4242"
TOKEN = "eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl"
SECRETS = {
    "a mail address": ("no mailbox for camille.roy@example.com here", "camille.roy"),
    "an address in a key": ("Key (customer_email)=(camille.roy@example.com) already exists", "camille.roy"),
    "a row": ("null value\nDETAIL:  Failing row contains (1, Camille Roy, M5V 2T6).\nmore", "Camille"),
    "a model's input": ("1 error [type=x, input_value={'name': 'Camille\nRoy'}, input_type=dict]", "Camille"),
    "a telephone number": ("phone +14165550123", "4165550123"),
    "a card": (f"card {CARD}", "4242 4242"),
    "a card without blanks": ("card 4242424242424242.", "42424242"),
    "a client secret": ("pi_3PqLxk2eZvKYlo2C_secret_Yh3VabcDEF", "Yh3V"),
    "a key of Stripe's": ("key sk_live_51HxAbCd and whsec_AbCdEf", "AbCd"),
    "a token": (f"bad token {TOKEN}", "c2lnbmF0dXJl"),
    "a header": ("Authorization: Bearer abc.def-ghi", "def"),
    "a manage link": ('"GET /manage/1?token=abcdef HTTP/1.1" 200', "abcdef"),
    "a password in a URL": ("postgresql://pitstop_api:hunter2@127.0.0.1:5432/pitstop", "hunter2"),
}


@pytest.mark.parametrize("kind", SECRETS)
def test_a_line_is_looked_over(kind: str) -> None:
    line, secret = SECRETS[kind]
    assert secret in line
    assert secret not in logs.redacted(line)


def test_what_operators_need_stays() -> None:
    for line in (
        "booking/950b5303-cff0-59fd-abb0-f795e9726cbe is late, pi_3PqLxk2eZvKYlo2C1h7bJ0aT canceled",
        "2026-11-24 17:39:43,923 INFO pitstop.worker working on task queue pitstop",
        "SMTPRecipientRefused: (550, '5.1.1 nobody')",
        "run 0197f6a4-8c1e-7d1e-9d1a-000000000001, order 1234567890123456789",
    ):
        assert logs.redacted(line) == line


async def test_a_traceback_is_looked_over_too(stack: Stack) -> None:
    """Real errors of those who quote: PostgreSQL a row, pydantic an input."""

    class Model(BaseModel):
        age: int

    name = "".join(("Xan", "thippe"))  # not as it is: a traceback quotes this file
    formatter = logs.RedactingFormatter(logging.Formatter(logs.FORMAT))
    connection = await asyncpg.connect(stack.database_url)
    found = []
    try:
        await connection.execute("CREATE TEMPORARY TABLE people (name text, age integer NOT NULL)")
        try:
            await connection.execute("INSERT INTO people VALUES ($1, NULL)", name)
        except asyncpg.PostgresError as error:
            found.append(error)
    finally:
        await connection.close()
    try:
        Model.model_validate({"age": name})
    except ValidationError as error:
        found.append(error)  # type: ignore[arg-type]
    assert len(found) == 2
    for each in found:
        record = logging.LogRecord("x", logging.ERROR, "x", 1, "failed", None, (type(each), each, each.__traceback__))
        assert name in logging.Formatter().format(record), "a control: the plain formatter tells it"
        assert name not in formatter.format(record)
        assert type(each).__name__ in formatter.format(record)


@pytest.mark.parametrize("answer", ["550 <zoe@example.com> unknown", "550 zoe unknown", "550 no zoe@EXAMPLE.com here"])
async def test_a_mail_servers_answer_does_not_name_the_recipient(answer: str) -> None:
    with pytest.raises(MailNotAccepted) as refusal:
        await send_to(scripted("220 hello", "250 hello", "250 ok", answer, "250 reset"))
    said = str(refusal.value).lower()
    assert "550" in said
    assert "zoe" not in said
    assert mail().to_address.lower() not in said
    assert refusal.value.__cause__ is None


async def test_bookings_that_go_well_and_wrong_leave_nothing_in_the_logs(
    stack: Stack,
    customer: Customer,
    shop: Shop,
    words: Words,
    stripe: StripeControl,
    clock: Clock,
    http: httpx.AsyncClient,
) -> None:
    body = words.body(customer.request(shop, shop.start()))
    booking = (await customer.post(body)).json()
    await customer.pay(booking, DECLINED_CARD)
    await http.post(f"{stack.mail_url}/api/faults", json={"kind": "reject_4xx", "to": customer.email, "times": 2})
    await customer.pay(booking)
    await customer.sees(booking, "confirmed", "mail_sent")
    await http.get(booking["manage_url"])
    for wrong in (
        body | {"customer": body["customer"] | {"email": f"{words.city} no address"}},
        body | {"customer": body["customer"] | {"phone": words.name}},
        body | {words.postal_code: 1},
        body | {"start": words.name},
    ):
        assert (await customer.post(wrong)).status_code == 422
    await customer.post(body)
    fault = await stripe.fault("create", "error_500", times=None)
    answer = await customer.post(words.body(customer.request(shop, shop.start(hours=4))), str(uuid4()))
    assert answer.status_code == 503
    await stripe.remove(fault)
    await clock.to_the_end(booking)
    secrets = [
        *(*words.all, customer.email, customer.token),
        booking["payment"]["client_secret"].partition("_secret_")[2],
        booking["manage_url"].partition("token=")[2],
        *(stack.stripe_secret_key, stack.stripe_webhook_secret, stack.environment["PITSTOP_MANAGE_LINK_SECRET"]),
        *("4242424242424242", "4000000000000002"),
    ]
    for name in ("api", "worker"):
        log = (stacks.folder_of(stack) / "logs" / f"{name}.log").read_text()
        assert not [secret for secret in secrets if secret in log], name
    worker = (stacks.folder_of(stack) / "logs" / "worker.log").read_text()
    assert booking["id"] in worker, "a control: the refused mail is told of, with the booking's id"
