"""What a booking's page says of proposed times: what a no does, which is not the same to a workshop."""

from datetime import UTC, datetime

import pytest

from api.manage_words import manage_words
from pitstop.domain.notices import Language
from tests.web.sheets import sheet

NOW = datetime(2026, 11, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    ("unanswered", "language", "button", "text"),
    [
        ("proposed", Language.EN, "cancel the booking, and give all of my money back", "the booking is cancelled"),
        ("proposed", Language.FR, "annuler la réservation et me rendre tout l'argent", "la réservation est annulée"),
        (None, Language.EN, "leave it as it is", "Until you choose one, it stays as it is"),
        (None, Language.FR, "ne rien changer", "elle reste telle quelle"),
    ],
)
def test_a_no_says_what_it_does(unanswered: str | None, language: Language, button: str, text: str) -> None:
    words = manage_words(sheet({"unanswered": unanswered, "language": language}), NOW)
    assert words["none"].endswith(button)
    assert text in words["proposed"]
