"""What is booked in a run: for each trade a service with mechanics of its own."""

from collections.abc import Awaitable, Callable

from bench import seed
from bench.seed import Connection, Offer
from chaos import plan
from chaos.plan import Trade


async def others(connection: Connection, slug: str) -> dict[Trade, Offer]:
    """All but the sessions that are booked online for a time."""
    return {
        Trade.VISIT: await seed.visits(connection, plan.IN_PERSON_MECHANICS, plan.BAYS, buffer=1, slug=f"{slug}-visit"),
        Trade.AT_ONCE: await seed.minutes(connection, plan.AT_ONCE_MECHANICS, buffer=1, slug=f"{slug}-at-once"),
    }


# Opens a service of this name, with mechanics of its own.
Shop = Callable[[Connection, str], Awaitable[Offer]]


async def one_mechanic(connection: Connection, slug: str) -> Offer:
    """Sessions of a minute, online."""
    return await seed.minutes(connection, 1, slug=slug)


async def several_mechanics(connection: Connection, slug: str) -> Offer:
    """The same; the first is the one who is asked for."""
    return await seed.minutes(connection, 3, slug=slug)
