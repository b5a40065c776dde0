"""Workers that are to be killed, forked from a process that has imported everything: at work at once."""

import asyncio
import multiprocessing
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from multiprocessing.process import BaseProcess

from tests.support import crashing_worker as module

# The same one as of `chaos.lab`: a process has one such nursery, and it imports the product.
_fork = multiprocessing.get_context("forkserver")
_fork.set_forkserver_preload(["chaos.nursery"])


class Forked:
    """A child, as `asyncio.subprocess.Process` shows one."""

    def __init__(self, child: BaseProcess) -> None:
        self._child = child

    @property
    def returncode(self) -> int | None:
        return self._child.exitcode

    def kill(self) -> None:
        self._child.kill()

    async def wait(self) -> int:
        await asyncio.to_thread(self._child.join)
        assert self._child.exitcode is not None
        return self._child.exitcode


@asynccontextmanager
async def crashing_worker(variables: dict[str, str]) -> AsyncIterator[Forked]:
    """The worker that ends itself at CRASH_AT, if that is given; killed at the end if it is there still."""
    child = _fork.Process(target=_work, args=(variables,), daemon=True)
    await asyncio.to_thread(child.start)
    forked = Forked(child)
    try:
        yield forked
    finally:
        forked.kill()
        await forked.wait()


def _work(variables: dict[str, str]) -> None:
    os.environ.clear()
    os.environ.update(variables)
    module.main()
