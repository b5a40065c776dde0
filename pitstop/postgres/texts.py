"""News of text messages, on PostgreSQL."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from pitstop.domain.text_messages import Delivery
from pitstop.postgres import queries
from pitstop.postgres.pool import Connection, Pool

_SQL = queries.load("texts")


class TextNews:
    """Records what Twilio says, as the role `pitstop_api` for the caller `webhook`. Each call is safe to repeat."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def record(self, delivery: Delivery) -> bool:
        """Whether it was news: not what came late or twice, nor what is about an earlier sending."""
        news = (delivery.key, delivery.sending, delivery.message_sid, delivery.status, delivery.code)
        async with self._as_webhook() as connection:
            return bool(await connection.fetchval(_SQL["record_delivery"], *news))

    async def opt_out(self, digests: Sequence[bytes]) -> None:
        """Whoever has the number of this digest (the first) gets no more text messages."""
        async with self._as_webhook() as connection:
            await connection.execute(_SQL["opt_out"], digests[0])

    async def opt_in(self, digests: Sequence[bytes]) -> None:
        """Whoever has it, under whichever of these digests, gets them again."""
        async with self._as_webhook() as connection:
            await connection.execute(_SQL["opt_in"], digests)

    @asynccontextmanager
    async def _as_webhook(self) -> AsyncIterator[Connection]:
        async with self._pool.acquire() as connection, connection.transaction():
            await connection.execute(_SQL["become_webhook"])
            yield connection
