"""The door of an online session, on the booking's page: when it opens, and that the customer is there."""

from datetime import datetime, timedelta
from typing import Any

import pytest

from api.manage_words import manage_words
from pitstop.domain.booking import BookingStatus
from pitstop.domain.notices import Language
from tests.gateways.samples import VIDEO
from tests.web.sheets import sheet

QUARTER, MINUTE = timedelta(minutes=15), timedelta(minutes=1)
OPENS = VIDEO.start - QUARTER


def shown(now: datetime, language: Language = Language.EN, **changes: Any) -> tuple[Any, bool]:
    words = manage_words(sheet({"language": language}, **{"waiting_room_opens_at": OPENS} | changes), now)
    return words["waiting_room"], words["can_join"]


@pytest.mark.parametrize(
    ("now", "says", "button"),
    [
        (OPENS - MINUTE, "It opens at Tue 1 Dec 2026, 13:45 EST", False),
        (OPENS, "Say that you are here", True),
        (VIDEO.end - MINUTE, "Say that you are here", True),
        (VIDEO.end, "The session's time is over", False),
    ],
)
def test_as_its_time_passes(now: datetime, says: str, button: bool) -> None:
    text, can_join = shown(now)
    assert says in text
    assert can_join is button
    assert shown(now, Language.FR)[1] is button


@pytest.mark.parametrize(
    ("language", "status", "says"),
    [
        (Language.EN, BookingStatus.CONFIRMED, "since Tue 1 Dec 2026, 13:50 EST, and Björn Åkesson sees it"),
        (Language.EN, BookingStatus.IN_PROGRESS, "13:50 EST. The session is under way"),
        (Language.FR, BookingStatus.CONFIRMED, "depuis le 1 décembre 2026 à 13 h 50 HNE, et Björn Åkesson la voit"),
        (Language.FR, BookingStatus.IN_PROGRESS, "La séance est en cours"),
    ],
)
def test_who_has_come_is_told_so(language: Language, status: BookingStatus, says: str) -> None:
    came = OPENS + 5 * MINUTE
    text, can_join = shown(came + MINUTE, language, checked_in_at=came, status=status)
    assert says in text
    assert not can_join


def test_without_a_session_to_come_to_there_is_none() -> None:
    assert shown(OPENS, waiting_room_opens_at=None) == (None, False)


@pytest.mark.parametrize("immediate", [False, True])
def test_an_entry_is_spoken_of_where_a_mail_has_brought_one(immediate: bool) -> None:
    """That of an immediate session has not: the session runs."""
    words = manage_words(sheet(immediate=immediate, status=BookingStatus.IN_PROGRESS), OPENS)
    assert bool(words["calendars"]) is not immediate
