"""Every migration can be taken back, and made again: the schema is the same as before."""

import asyncpg

from pitstop.devstack.stackfile import Stack
from tests.support.databases import dbmate, fresh_database
from tests.support.processes import ROOT

MIGRATIONS = sorted(path.stem for path in (ROOT / "migrations").glob("*.sql"))
# All that a migration can leave: tables with columns, rights and row security, constraints, indexes, triggers,
# policies, functions, extensions.
SCHEMA = """
SELECT 'table', c.relname, concat_ws(' ', c.relacl::text, c.relrowsecurity, c.relforcerowsecurity)
FROM pg_class AS c WHERE c.relnamespace = 'public'::regnamespace AND c.relkind = 'r'
    AND c.relname <> 'schema_migrations'
UNION ALL
SELECT
    'column', table_name || '.' || column_name, concat_ws(' ', ordinal_position, data_type, is_nullable, column_default)
FROM information_schema.columns WHERE table_schema = 'public' AND table_name <> 'schema_migrations'
UNION ALL
SELECT 'constraint', conrelid::regclass || '.' || conname, pg_get_constraintdef(oid)
FROM pg_constraint
WHERE connamespace = 'public'::regnamespace AND contype <> 'n' AND conrelid <> 'schema_migrations'::regclass
UNION ALL
SELECT 'index', indexname, indexdef FROM pg_indexes WHERE schemaname = 'public' AND tablename <> 'schema_migrations'
UNION ALL
SELECT 'trigger', tgrelid::regclass || '.' || tgname, pg_get_triggerdef(oid) FROM pg_trigger WHERE NOT tgisinternal
UNION ALL
SELECT 'policy', tablename || '.' || policyname, concat_ws(' ', cmd, roles::text, qual, with_check) FROM pg_policies
UNION ALL
SELECT 'function', p.oid::regprocedure::text, concat_ws(' ', p.proacl::text, pg_get_functiondef(p.oid))
FROM pg_proc AS p
WHERE p.pronamespace = 'public'::regnamespace
    AND NOT EXISTS (SELECT FROM pg_depend AS d WHERE d.objid = p.oid AND d.deptype = 'e')
UNION ALL
SELECT 'extension', extname, extversion FROM pg_extension WHERE extname <> 'plpgsql'
ORDER BY 1, 2
"""


async def _schema(url: str) -> list[tuple[str, str, str]]:
    connection = await asyncpg.connect(url)
    try:
        return [tuple(row) for row in await connection.fetch(SCHEMA)]
    finally:
        await connection.close()


async def _applied(url: str) -> int:
    connection = await asyncpg.connect(url)
    try:
        applied: int = await connection.fetchval("SELECT count(*) FROM schema_migrations")
        return applied
    finally:
        await connection.close()


async def _entered_as_before(stack: Stack) -> None:
    """Roles belong to the whole cluster: what they may in other databases is nobody's to take away here."""
    for url in (stack.api_database_url, stack.worker_database_url, stack.environment["PITSTOP_AUDIT_DATABASE_URL"]):
        await (await asyncpg.connect(url)).close()


async def test_down_to_nothing_and_up_again(stack: Stack) -> None:
    async with fresh_database(stack) as urls:
        before = await _schema(urls.superuser)
        assert {kind for kind, _, _ in before} >= {"table", "constraint", "index", "trigger", "policy", "function"}
        for left in reversed(range(len(MIGRATIONS))):
            await dbmate(urls.superuser, "rollback")
            assert await _applied(urls.superuser) == left
        assert await _schema(urls.superuser) == []
        await dbmate(urls.superuser, "up")
        assert await _schema(urls.superuser) == before
    await _entered_as_before(stack)
