"""Sessions at a workshop that wants to be asked, and for which a waiver has to be signed."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta

from chaos.dealer import Dealer
from chaos.plan import Kind

# Where a session would rather be, so many days and a minute on: no other kind has one there.
_LATER = timedelta(days=30, minutes=1)


async def is_seen_through(who: Dealer) -> None:
    """Confirmed, signed while the mechanic tries to begin, started and completed."""
    if await who.is_paid_for_certain():
        await who.asks("start", operator=True)
        await who.hears("confirm")
        await asyncio.gather(who.asks("start", operator=True), who.signs())
        if await who.asks("start", operator=True):
            await who.ends("complete", operator=True)


async def takes_another_time(who: Dealer) -> None:
    """One of two, both of which are held for it."""
    if await who.is_paid_for_certain():
        later = who.story.start + _LATER
        await who.is_offered_instead(later + timedelta(days=1), later)
        await who.takes_proposal(later)
        await who.looks_at_the_word()


async def wants_no_other_time(who: Dealer) -> None:
    if await who.is_paid_for_certain():
        await who.is_offered_instead(who.story.start + _LATER)
        await who.declines_proposal()


async def is_declined(who: Dealer) -> None:
    if await who.is_paid_for_certain():
        await who.hears("decline")


async def hears_nothing(who: Dealer) -> None:
    await who.is_paid_for_certain()


async def cancels_unanswered(who: Dealer) -> None:
    """All goes back, however late it is."""
    if await who.is_paid_for_certain():
        await who.ends("cancel")


WAYS: dict[Kind, Callable[[Dealer], Awaitable[None]]] = {
    Kind.WORD_GIVEN: is_seen_through,
    Kind.WORD_OTHER_TIME: takes_another_time,
    Kind.WORD_OTHER_TIME_DECLINED: wants_no_other_time,
    Kind.WORD_DECLINED: is_declined,
    Kind.WORD_LAPSED: hears_nothing,
    Kind.WORD_NOT_AWAITED: cancels_unanswered,
}
