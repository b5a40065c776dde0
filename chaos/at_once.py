"""Sessions at once, and the mechanics who are asked to take them."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from uuid import UUID

from chaos.dealer import Dealer
from chaos.plan import Kind

# Around the end of the search, in seconds.
_LAST_MOMENT = 1.0


async def several_want_it(who: Dealer) -> None:
    """One of them has it, and completes it."""
    if await who.is_paid("pending"):
        await asyncio.gather(*(who.accepts(mechanic) for mechanic in who.crowd(3)))
        if who.story.taken_by:
            await who.ends("complete", mechanic=UUID(who.story.taken_by[0]))


async def nobody_takes_it(who: Dealer) -> None:
    """Some of those who are asked say no, the others nothing."""
    if await who.is_paid("pending"):
        await asyncio.gather(*(who.declines_offer(mechanic) for mechanic in who.crowd(2)))


async def is_taken_in_the_last_moment(who: Dealer) -> None:
    """The mechanic says yes while the time for that runs out."""
    if await who.is_paid("pending"):
        await asyncio.gather(*(_waits_and_accepts(who, mechanic) for mechanic in who.crowd(2)))


async def _waits_and_accepts(who: Dealer, mechanic: UUID) -> None:
    if await who.is_offered(mechanic):
        ends = await who.offered_until()
        moment = who.dice.uniform(-_LAST_MOMENT, _LAST_MOMENT)
        await asyncio.sleep(max(0.0, (ends - datetime.now(UTC)).total_seconds() + moment) if ends else 0)
        await who.takes(mechanic)


async def is_cancelled_meanwhile(who: Dealer) -> None:
    """Customer and mechanic decide in the same moment."""
    if await who.is_paid("pending"):
        await asyncio.gather(*(who.accepts(mechanic) for mechanic in who.crowd(2)), who.ends("cancel"))


WAYS: dict[Kind, Callable[[Dealer], Awaitable[None]]] = {
    Kind.AT_ONCE: several_want_it,
    Kind.AT_ONCE_LAPSED: nobody_takes_it,
    Kind.AT_ONCE_LAST_MOMENT: is_taken_in_the_last_moment,
    Kind.AT_ONCE_CANCELLED: is_cancelled_meanwhile,
}
