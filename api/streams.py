"""Bookings followed live: one look at the database for all streams of a process; no entry is missed or told twice."""

import asyncio
import json
import logging
import time
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from datetime import datetime
from typing import Any
from uuid import UUID

import asyncpg

from api.problems import Problem
from api.shedding import overloaded
from pitstop.domain.caller import Caller, Role
from pitstop.postgres.desk import News
from pitstop.postgres.pulse import Pulse

_log = logging.getLogger("pitstop.api")
_LOOK_SECONDS = 0.5
_HEARTBEAT_SECONDS = 15.0
# A booking that has ended may still have something to say (a refund issued, a mail sent): so long nothing new comes.
_LAST_WORDS_SECONDS = 2.0
# Then the client connects again, with a token that is still good.
_LONGEST_SECONDS = 1800.0
_SETTLING_SECONDS = 0.1
# No transaction of ours lasts so long; one of somebody else's may, and cannot bring an entry.
_SETTLING_LOOKS = 150
# A service or an operator follows the bookings of many.
_ONE_PERSON = (Role.CUSTOMER, Role.MECHANIC, Role.LINK)


class Streams:
    """The streams that are open in this process. Each has a bell, which rings when its booking may have news."""

    def __init__(self, pulse: Pulse, at_once: int, per_caller: int) -> None:
        self._pulse = pulse
        self._at_once = at_once
        self._per_caller = per_caller
        self._bells: defaultdict[UUID, set[asyncio.Event]] = defaultdict(set)
        self._heard: dict[UUID, int] = {}
        self._callers: Counter[Caller] = Counter()

    @property
    def open(self) -> int:
        return self._callers.total()

    @contextmanager
    def entered(self, caller: Caller, booking_id: UUID) -> Iterator[asyncio.Event]:
        """Gives the bell. Raises the problems `overloaded` and `too_many_streams`."""
        self._refuse_one_too_many(caller)
        bell = asyncio.Event()
        self._callers[caller] += 1
        self._bells[booking_id].add(bell)
        try:
            yield bell
        finally:
            self._callers[caller] -= 1
            self._callers += Counter()  # drops who has none left
            self._bells[booking_id].discard(bell)
            if not self._bells[booking_id]:
                del self._bells[booking_id]
                self._heard.pop(booking_id, None)

    def _refuse_one_too_many(self, caller: Caller) -> None:
        if caller.role in _ONE_PERSON and self._callers[caller] >= self._per_caller:
            detail = f"You follow {self._per_caller} bookings already. Close one of these streams first."
            raise Problem(429, "too_many_streams", "Too many streams", detail, headers={"Retry-After": "10"})
        if self.open >= self._at_once:
            raise overloaded("More bookings are followed at the moment than can be.")

    @asynccontextmanager
    async def watched(self) -> AsyncIterator["Streams"]:
        """Rings the bells while the block lasts."""
        watching = asyncio.create_task(self._watch())
        try:
            yield self
        finally:
            watching.cancel()
            with suppress(asyncio.CancelledError):
                await watching

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(_LOOK_SECONDS)
            if self._bells:
                try:
                    await self._look()
                except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
                    _log.warning("no news for event streams: %r", error)

    async def _look(self) -> None:
        for booking_id, entries in (await self._pulse.news(list(self._bells))).items():
            if booking_id in self._bells and self._heard.get(booking_id) != entries:
                self._heard[booking_id] = entries
                for bell in self._bells[booking_id]:
                    bell.set()


class Settling:
    """Lets entries out in the order of their ids, each when none with a lower id can come any more.

    That is when all transactions that had begun by the time the entry was first seen are over.
    """

    def __init__(self, after: int) -> None:
        self.after = after
        self.waits = False
        self._last: int | None = None
        self._bar = 0
        self._looks = 0

    def settled(self, news: News) -> list[dict[str, Any]]:
        if self._last is None and news.entries:
            self._last, self._bar, self._looks = news.entries[-1]["id"], news.next_transaction, 0
        out = self._out(news)
        self.waits = len(out) < len(news.entries)
        return out

    def _out(self, news: News) -> list[dict[str, Any]]:
        self._looks += 1
        if self._last is None or (news.oldest_running < self._bar and self._looks < _SETTLING_LOOKS):
            return []
        self.after, self._last = self._last, None
        return [entry for entry in news.entries if entry["id"] <= self.after]


async def follow(look: Callable[[int], Awaitable[News | None]], after: int, bell: asyncio.Event) -> AsyncIterator[str]:
    """What goes to the client: the entries after the given one, until the booking has ended or is not to be seen."""
    settling = Settling(after)
    until = time.monotonic() + _LONGEST_SECONDS
    while time.monotonic() < until:
        bell.clear()
        news = await look(settling.after)
        if news is None:
            return
        for entry in settling.settled(news):
            yield _server_sent(entry)
        if settling.waits:
            await asyncio.sleep(_SETTLING_SECONDS)
        elif not await _rings(bell, _LAST_WORDS_SECONDS if news.status.is_end else _HEARTBEAT_SECONDS):
            if news.status.is_end:
                return
            yield ": still here\n\n"


async def _rings(bell: asyncio.Event, patience: float) -> bool:
    try:
        async with asyncio.timeout(patience):
            return await bell.wait()
    except TimeoutError:
        return False


def _server_sent(entry: dict[str, Any]) -> str:
    at: datetime = entry["at"]
    data = {"at": at.isoformat(), "event": entry["event"], "detail": entry["detail"]}
    return f"id: {entry['id']}\nevent: {entry['event']}\ndata: {json.dumps(data)}\n\n"
