"""The counts themselves: who reaches them, and that a wrong number cannot be drawn."""

from typing import Any
from uuid import uuid4

import asyncpg
import pytest

from pitstop.devstack.stackfile import Stack
from pitstop.domain.limits import Budget
from pitstop.postgres.limits import SharedBudgets
from pitstop.postgres.pool import open_pool

FORBIDDEN = {
    "api": (
        "SELECT * FROM hold_origins",
        "DELETE FROM hold_origins",
        "INSERT INTO hold_origins DEFAULT VALUES",
        "SELECT * FROM rate_limits",
        "DELETE FROM rate_limits",
        "UPDATE rate_limits SET full_at = now()",
        "SELECT declined_cards('', now())",
    ),
    "worker": (
        "UPDATE hold_origins SET ended_at = now()",
        "INSERT INTO hold_origins DEFAULT VALUES",
        "INSERT INTO rate_limits DEFAULT VALUES",
        "UPDATE rate_limits SET key = ''",
        "SELECT draw_tokens('{}', '{}', '{}')",
        "SELECT note_declined_card(gen_random_uuid(), '')",
        "SELECT claim_hold(gen_random_uuid(), '{}', '{}', '{}', '{}', 1, '1 h', '1 h', '1 h', '1 h')",
    ),
}


@pytest.mark.parametrize(("role", "statement"), [(role, sql) for role in FORBIDDEN for sql in FORBIDDEN[role]])
async def test_what_the_roles_may_not_do(stack: Stack, role: str, statement: str) -> None:
    connection = await asyncpg.connect({"api": stack.api_database_url, "worker": stack.worker_database_url}[role])
    try:
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await connection.execute(statement)
    finally:
        await connection.close()


@pytest.mark.parametrize("per_minute", [1, 7, 60, 7_000, 999_983, 1_000_000])
async def test_a_bucket_holds_a_minutes_worth(stack: Stack, database: Any, per_minute: int) -> None:
    """Also where a call is no whole number of microseconds."""
    budget = Budget("test", uuid4().bytes, per_minute)
    async with open_pool(stack.api_database_url, 1, "test") as pool:
        shared = SharedBudgets(pool, 5)
        [one] = await shared.draw([budget], [1])
        assert (one.calls, one.wait_seconds) == (1, 0)
        [rest] = await shared.draw([budget], [per_minute])
        # What has flowed in since the first draw is drawn too.
        assert per_minute - 1 <= rest.calls <= per_minute
        await database.execute(
            "UPDATE rate_limits SET full_at = clock_timestamp() + '60 s'::interval WHERE key = $1", budget.key
        )
        if per_minute <= 60:
            [none] = await shared.draw([budget], [1])
            assert none.calls == 0
            assert 0 < none.wait_seconds <= 60 / per_minute
            await database.execute(
                "UPDATE rate_limits SET full_at = full_at - make_interval(secs => $2) WHERE key = $1",
                budget.key,
                60 / per_minute,
            )
            [next_one] = await shared.draw([budget], [1])
            assert next_one.calls == 1


async def test_two_budgets_are_drawn_from_apart(stack: Stack) -> None:
    """One that is used up takes nothing from the other, and is not drawn from."""
    used, full = Budget("a", b"a" + uuid4().bytes, 1), Budget("b", b"b" + uuid4().bytes, 10)
    async with open_pool(stack.api_database_url, 1, "test") as pool:
        shared = SharedBudgets(pool, 5)
        assert [grant.calls for grant in await shared.draw([used, full], [1, 4])] == [1, 4]
        assert [grant.calls for grant in await shared.draw([used, full], [1, 4])] == [0, 4]
        assert [grant.calls for grant in await shared.draw([used, full], [1, 4])] == [0, 2]
