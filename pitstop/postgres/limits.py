"""Limits that all API processes share: PostgreSQL counts."""

from collections.abc import Sequence
from uuid import UUID

from pitstop.domain.limits import Budget, Grant, HoldLimits, HoldsExhausted
from pitstop.postgres import queries
from pitstop.postgres.pool import Connection, Pool

_SQL = queries.load("limits")


class SharedBudgets:
    """Draws calls from budgets, as the role `pitstop_api`."""

    def __init__(self, pool: Pool, patience_seconds: float) -> None:
        self._pool = pool
        self._patience = patience_seconds

    async def draw(self, budgets: Sequence[Budget], calls: Sequence[int]) -> list[Grant]:
        """Up to so many calls from each, in one round trip. Budgets come in the order of their keys."""
        async with self._pool.acquire(timeout=self._patience) as connection:
            rows = await connection.fetch(
                _SQL["draw_tokens"],
                [budget.key for budget in budgets],
                [budget.per_minute for budget in budgets],
                calls,
                timeout=self._patience,
            )
        return [Grant(row["granted"], row["wait"]) for row in rows]


async def claim_hold(connection: Connection, booking_id: UUID, limits: HoldLimits) -> HoldsExhausted | None:
    """Claims the hold within the caller's transaction; None when it is granted. Others who share an origin wait until
    that transaction ends."""
    row = await connection.fetchrow(
        _SQL["claim_hold"],
        booking_id,
        [origin.kind for origin in limits.origins],
        [origin.key for origin in limits.origins],
        [origin.most for origin in limits.origins],
        [origin.unpaid for origin in limits.origins],
        limits.cards,
        limits.lasts,
        limits.window,
        limits.first_delay,
        limits.longest_delay,
    )
    return HoldsExhausted(row["kind"], row["wait"]) if row else None


async def note_declined_card(connection: Connection, booking_id: UUID, card: bytes) -> None:
    await connection.execute(_SQL["note_declined_card"], booking_id, card)
