"""What differs from language to language besides the texts themselves: how times, spans and amounts are written."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from pitstop.domain.notices import BookingFacts, Language
from pitstop.gateways import french, wording


@dataclass(frozen=True, slots=True)
class Phrasing:
    """One language's manner. `tag` is what HTML says of it (BCP 47); `joined` puts service and mechanic together,
    `option` a proposed time and its mechanic."""

    tag: str
    joined: str
    option: str
    colon: str
    money: Callable[[int, str], str]
    session_time: Callable[[BookingFacts, str], str]
    start_time: Callable[[BookingFacts], str]
    moment: Callable[[datetime, str], str]
    short_moment: Callable[[datetime, str], str]
    span: Callable[[timedelta], str]


PHRASINGS = {
    Language.EN: Phrasing(
        tag="en-CA",
        joined="{service} with {mechanic}, {start}",
        option="{start}, with {mechanic}",
        colon=":",
        money=wording.money,
        session_time=wording.session_time,
        start_time=wording.start_time,
        moment=wording.moment_in,
        short_moment=wording.short_moment_in,
        span=wording.span,
    ),
    Language.FR: Phrasing(
        tag="fr-CA",
        joined="{service} avec {mechanic}, {start}",
        option="{start}, avec {mechanic}",
        colon=" :",
        money=french.money,
        session_time=french.session_time,
        start_time=french.start_time,
        moment=french.moment_in,
        short_moment=french.short_moment_in,
        span=french.span,
    ),
}
