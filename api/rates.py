"""Rate limits: so many calls a minute for each caller and each address, counted for all API processes together.

Whoever calls often is let through from what this process has drawn ahead: twice as many calls as it drew last and has
spent in a short while, `_MOST_DRAWN` at most. So most calls of a busy caller cost no round trip, and a slow caller's
are counted one by one. What is drawn counts as used at once: in no span of time do all processes together let through
more than the budget allows, but for the `_MOST_DRAWN` calls that each may have drawn before it.
"""

import asyncio
import logging
import math
import time
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass

import asyncpg

from api.problems import Problem
from pitstop.domain.limits import Budget, Grant
from pitstop.postgres.limits import SharedBudgets

_log = logging.getLogger("pitstop.limits")
_MOST_DRAWN = 8
_DRAWN_LIVES_SECONDS = 2.0
_MOST_REMEMBERED = 20_000
_QUEUES = 64
# While the shared budgets cannot be asked, calls pass, and nobody waits for that again: the route says what is away.
_AWAY_SECONDS = 1.0
_AWAY = (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError)


@dataclass(slots=True)
class _Drawn:
    """`left` of `size` calls that may pass until then. Size 0: the budget is used up until then."""

    size: int
    left: int
    until: float


class RateLimiter:
    """Spends calls from shared budgets. Raises the problem `rate_limited` (429) when one of them is used up."""

    def __init__(self, shared: SharedBudgets) -> None:
        self._shared = shared
        self._drawn: OrderedDict[bytes, _Drawn] = OrderedDict()
        self._asking = [asyncio.Lock() for _ in range(_QUEUES)]
        self._away_until = -math.inf

    async def spend(self, *budgets: Budget) -> None:
        """One call from each of the budgets."""
        lacking = self._lacking(budgets)
        if not lacking:
            return
        # Calls of one caller that come at once draw one after another: most find what the first has drawn.
        async with self._asking[lacking[0].key[0] % _QUEUES]:
            lacking = self._lacking(lacking)
            if lacking and time.monotonic() >= self._away_until:
                await self._draw(lacking)

    def _lacking(self, budgets: Sequence[Budget]) -> list[Budget]:
        """Those of which no call was at hand, in the order of their keys."""
        return sorted((budget for budget in budgets if not self._take(budget)), key=lambda budget: budget.key)

    def _take(self, budget: Budget) -> bool:
        """Whether a call was at hand. Raises the problem for a budget that is known to be used up."""
        drawn, now = self._drawn.get(budget.key), time.monotonic()
        if drawn is None or drawn.until <= now:
            return False
        if not drawn.size:
            raise _rate_limited(budget, drawn.until - now)
        drawn.left -= 1
        return drawn.left >= 0

    async def _draw(self, budgets: Sequence[Budget]) -> None:
        wanted = [self._wanted(budget) for budget in budgets]
        try:
            grants = await self._shared.draw(budgets, wanted)
        except _AWAY as error:
            _log.warning("the rate limits cannot be asked: %r", error)
            self._away_until = time.monotonic() + _AWAY_SECONDS
            return
        for budget, grant in zip(budgets, grants, strict=True):
            self._remember(budget, grant)
        for budget, grant in zip(budgets, grants, strict=True):
            if not grant.calls:
                raise _rate_limited(budget, grant.wait_seconds)

    def _wanted(self, budget: Budget) -> int:
        """Twice what was drawn last if that was spent in time, else one."""
        last = self._drawn.get(budget.key)
        if last is None or last.until <= time.monotonic():
            return 1
        return min(2 * last.size, _MOST_DRAWN, max(1, budget.per_minute // 10))

    def _remember(self, budget: Budget, grant: Grant) -> None:
        """One of the calls is that of the request which has asked."""
        now = time.monotonic()
        until = now + (_DRAWN_LIVES_SECONDS if grant.calls else grant.wait_seconds)
        last = self._drawn.get(budget.key)
        others = max(last.left, 0) if last and last.until > now else 0
        self._drawn[budget.key] = _Drawn(grant.calls, min(others + grant.calls - 1, _MOST_DRAWN), until)
        self._drawn.move_to_end(budget.key)
        if len(self._drawn) > _MOST_REMEMBERED:
            self._drawn.popitem(last=False)


def _rate_limited(budget: Budget, wait_seconds: float) -> Problem:
    wait = max(1, math.ceil(wait_seconds))
    detail = f"The limit of {budget.per_minute} calls a minute ({budget.name}) is reached. Try again in {wait} s."
    # draft-ietf-httpapi-ratelimit-headers, sections 3 and 4.
    headers = {
        "Retry-After": str(wait),
        "RateLimit-Policy": f'"{budget.name}";q={budget.per_minute};w=60',
        "RateLimit": f'"{budget.name}";r=0;t={wait}',
    }
    return Problem(429, "rate_limited", "Too many calls", detail, headers=headers)
