"""What is booked in a run: for each trade a service with mechanics of its own."""

from collections.abc import Awaitable, Callable
from uuid import UUID, uuid5

from bench import seed
from bench.seed import Connection, Offer
from chaos import plan
from chaos.plan import Trade


async def online(connection: Connection, slug: str) -> Offer:
    """Sessions of a minute, for one of three prices; those who are there for what is handed over are the last."""
    mechanics = plan.MECHANICS + plan.SPARE_MECHANICS
    return await _with_other_plans(connection, await seed.minutes(connection, mechanics, buffer=1, slug=slug))


async def others(connection: Connection, slug: str) -> dict[Trade, Offer]:
    """All but the sessions that are booked online for a time."""
    return {
        Trade.VISIT: await seed.visits(connection, plan.IN_PERSON_MECHANICS, plan.BAYS, buffer=1, slug=f"{slug}-visit"),
        Trade.YARD: await _yard(connection, slug, plan.MECHANICS),
        Trade.QUEUE: await seed.minutes(connection, plan.MECHANICS, buffer=1, slug=f"{slug}-queue"),
        Trade.AT_ONCE: await seed.minutes(connection, plan.AT_ONCE_MECHANICS, buffer=1, slug=f"{slug}-at-once"),
    }


async def yard(connection: Connection, slug: str) -> Offer:
    """Sessions of a minute in a workshop that wants to be asked."""
    return await _yard(connection, slug, 2)


async def _yard(connection: Connection, slug: str, mechanics: int) -> Offer:
    """So many mechanics, a bay for each, and the keeper, who comes last."""
    offer = await seed.visits(connection, mechanics + 1, mechanics, buffer=1, slug=f"{slug}-yard")
    await connection.execute(_KEEPER, offer.mechanics[-1])
    await connection.execute(_ASKED, offer.mechanics[-1], _ANSWER_MINUTES)
    return offer


_KEEPER = "UPDATE mechanics SET keeps_workshop = TRUE WHERE id = $1"
_ASKED = """
UPDATE workshops SET confirms_within_minutes = $2 WHERE id = (SELECT workshop_id FROM mechanics WHERE id = $1)
"""


def cheaper_plan(offer: Offer) -> UUID:
    """The plan that costs less."""
    return uuid5(offer.service_id, "cheaper")


def dearer_plan(offer: Offer) -> UUID:
    """The plan that costs more."""
    return uuid5(offer.service_id, "dearer")


async def _with_other_plans(connection: Connection, offer: Offer) -> Offer:
    await connection.execute(_OTHER_PLANS, cheaper_plan(offer), dearer_plan(offer), offer.service_id)
    return offer


_OTHER_PLANS = """
INSERT INTO plans (id, service_id, slug, name, amount)
VALUES ($1, $3, 'cheaper', 'Cheaper', 5000), ($2, $3, 'dearer', 'Dearer', 12000)
"""


# A session that begins sooner is answered for by its start.
_ANSWER_MINUTES = 120


async def workshop(connection: Connection, slug: str) -> Offer:
    """Sessions of a minute in a workshop that need not be asked."""
    return await seed.visits(connection, 2, 2, buffer=1, slug=slug)


# Opens a service of this name, with mechanics of its own.
Shop = Callable[[Connection, str], Awaitable[Offer]]


async def one_mechanic(connection: Connection, slug: str) -> Offer:
    """Sessions of a minute, online."""
    return await seed.minutes(connection, 1, slug=slug)


async def several_mechanics(connection: Connection, slug: str) -> Offer:
    """The same for one of three prices; the first is the one who is asked for."""
    return await _with_other_plans(connection, await seed.minutes(connection, 3, slug=slug))
