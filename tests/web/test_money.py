"""What a booking's page says of its money: what has come, what is on its way back, and what has gone back."""

from datetime import UTC, datetime

import pytest

from api.manage_words import manage_words
from pitstop.domain.notices import Language
from tests.web.sheets import sheet

NOW = datetime(2026, 12, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("price", "paid", "waits", "gone", "says"),
    [
        (8900, 0, 0, 0, []),
        (8900, 8900, 0, 0, []),
        (8900, 8900, 8900, 0, [("Paid", "CA$89.00"), ("On its way back to you", "CA$89.00")]),
        (8900, 8900, 0, 8900, [("Paid", "CA$89.00"), ("Refunded", "CA$89.00")]),
        (9900, 9900, 0, 0, []),
        (
            5000,
            8900,
            2500,
            3900,
            [("Paid", "CA$89.00"), ("On its way back to you", "CA$25.00"), ("Refunded", "CA$39.00")],
        ),
    ],
)
def test_each_sum_is_named(price: int, paid: int, waits: int, gone: int, says: list[tuple[str, str]]) -> None:
    facts = {"amount": price, "amount_paid": paid, "amount_refunded": gone}
    of = sheet(facts, amount_awaiting_refund=waits)
    assert manage_words(of, NOW)["money"] == says
    french = sheet(facts | {"language": Language.FR}, amount_awaiting_refund=waits)
    assert len(manage_words(french, NOW)["money"]) == len(says)
