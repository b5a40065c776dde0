"""Processes of their own that run a module as `python -m` does, but have not to import it first: that takes seconds."""

import asyncio
import multiprocessing
import os
import runpy
import sys
from collections.abc import Mapping, Sequence
from multiprocessing.context import ForkServerProcess
from pathlib import Path

ROOT = Path(__file__).parents[2]
_NURSERY = multiprocessing.get_context("forkserver")
_NURSERY.set_forkserver_preload(["tests.support.nursery"])


class Forked:
    """What tests use of asyncio's Process: it is killed, ended, and waited for."""

    def __init__(self, process: ForkServerProcess) -> None:
        self._process = process
        self._ended = asyncio.create_task(self._end())

    @property
    def returncode(self) -> int | None:
        return self._process.exitcode

    def kill(self) -> None:
        self._process.kill()

    def terminate(self) -> None:
        self._process.terminate()

    async def wait(self) -> int:
        """The exit status; of one that a signal ended, minus its number."""
        return await asyncio.shield(self._ended)

    async def _end(self) -> int:
        loop, over = asyncio.get_running_loop(), asyncio.Event()
        loop.add_reader(self._process.sentinel, over.set)
        await over.wait()
        loop.remove_reader(self._process.sentinel)
        status = self._process.exitcode
        assert status is not None
        return status


async def start(module: str, arguments: Sequence[str], variables: Mapping[str, str]) -> Forked:
    """Its output goes nowhere. The first one waits for the imports."""
    process = _NURSERY.Process(target=_run, args=(module, list(arguments), dict(variables)), daemon=True)
    await asyncio.to_thread(process.start)
    return Forked(process)


def _run(module: str, arguments: list[str], variables: dict[str, str]) -> None:
    os.environ.clear()
    os.environ.update(variables)
    os.chdir(ROOT)
    nowhere = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(nowhere, stream)
    sys.argv = [module, *arguments]
    runpy.run_module(module, run_name="__main__", alter_sys=True)
