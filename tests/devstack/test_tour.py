"""The demo's booking, on a stack that runs and on one that does not."""

import re

import httpx
import pytest

from pitstop.devstack import tour
from pitstop.devstack.stackfile import Stack


async def test_it_books_pays_and_says_where_to_look(stack: Stack, capsys: pytest.CaptureFixture[str]) -> None:
    await tour.run(stack)
    output = capsys.readouterr().out
    events = re.findall(r"● \S+ \S+ +(\w+):", output)
    assert events == ["hold_placed", "awaiting_payment", "payment_succeeded", "confirmed", "mail_sent"]
    assert "invite.ics" in output
    assert re.search(rf"{re.escape(stack.temporal_ui_url)}/namespaces/\w+/workflows/booking%2F[\w-]+/[\w-]+\n", output)
    [page] = re.findall(r"manage page +(\S+)", output)
    async with httpx.AsyncClient() as http:
        assert "Confirmed" in (await http.get(page)).text


@pytest.mark.parametrize(
    ("broken", "said"),
    [
        ("api_url", r"✗ http://127\.0\.0\.1:9/v1/services: "),
        ("stripe_api_url", r"✗ http://127\.0\.0\.1:9/v1/payment_intents/"),
        ("temporal_address", r"✗ RuntimeError: .*connect"),
    ],
)
async def test_a_failure_is_shown_and_not_raised(
    broken: str, said: str, stack: Stack, capsys: pytest.CaptureFixture[str]
) -> None:
    nowhere = "127.0.0.1:9" if broken == "temporal_address" else "http://127.0.0.1:9"
    await tour.run(stack.model_copy(update={broken: nowhere}))
    output = capsys.readouterr().out
    assert re.search(said, output)
    assert "The demo booking did not go through." in output
