"""Customers who wait for a time that somebody else has, and gives back."""

import asyncio
from collections.abc import Awaitable, Callable

from chaos.buyer import GOOD_CARD
from chaos.dealer import Dealer
from chaos.plan import Kind


async def first_pays(who: Dealer) -> None:
    first, second = await _two_wait(who)
    await asyncio.gather(who.ends("cancel"), _pays_what_is_offered(first))
    await _leaves(second)


async def first_lets_it_pass(who: Dealer) -> None:
    """Then it is offered to the second."""
    first, second = await _two_wait(who)
    await asyncio.gather(who.ends("cancel"), _lets_it_pass(first), _pays_what_is_offered(second))


async def first_leaves(who: Dealer) -> None:
    """While it is offered."""
    first, second = await _two_wait(who)
    await asyncio.gather(who.ends("cancel"), _looks_and_leaves(first), _pays_what_is_offered(second))


async def _two_wait(who: Dealer) -> tuple[Dealer, Dealer]:
    """In the order of their coming, for what the customer has."""
    await who.is_paid()
    first, second = who.another(1), who.another(2)
    await first.joins_the_line()
    await second.joins_the_line()
    return first, second


async def _pays_what_is_offered(who: Dealer) -> None:
    if who.story.entry is None:
        return
    if await who.is_offered_a_slot():
        await who.pays_with(GOOD_CARD)
        await who.sees_confirmed()
    await _leaves(who)


async def _lets_it_pass(who: Dealer) -> None:
    if who.story.entry is not None and await who.is_offered_a_slot():
        await who.lets_it_pass()
    await _leaves(who)


async def _looks_and_leaves(who: Dealer) -> None:
    if who.story.entry is not None:
        await who.is_offered_a_slot()
    await _leaves(who)


async def _leaves(who: Dealer) -> None:
    """Nobody waits when the run is over; whoever has what was waited for keeps it."""
    if who.story.entry is not None:
        await who.leaves_the_line()


WAYS: dict[Kind, Callable[[Dealer], Awaitable[None]]] = {
    Kind.WAITED_FOR: first_pays,
    Kind.WAITED_FOR_TWICE: first_lets_it_pass,
    Kind.WAITED_LEFT: first_leaves,
}
