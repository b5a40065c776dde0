"""An API or a worker of a test's own beside the stack's, on the same database, engine and Stripe server."""

import asyncio
import os
import socket
import sys
from asyncio.subprocess import Process
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import uvicorn

from api.__main__ import KEEP_ALIVE_SECONDS
from api.app import create_app
from api.patience import patient_with
from pitstop.devstack.stackfile import Stack
from pitstop.settings import Settings
from tests.support.forks import Forked

ROOT = Path(__file__).parents[2]
_NEVER_SECONDS = 10 * 86_400


def _apart(changes: dict[str, object]) -> dict[str, object]:
    """What else holds on a task queue of a test's own, unless the test asks for something else.

    It has no versions, because the server keeps few deployments. And it leaves to the stack's workers what one worker
    does for all bookings of a database: its offers to the waitlist and its sweeps would take up bookings of other
    tests, on a task queue that soon nobody works on.
    """
    if "task_queue" not in changes:
        return {}
    return {"versioning": "off", "serves_waitlist": False, "sweep_interval_seconds": _NEVER_SECONDS}


def settings(stack: Stack, **changes: object) -> Settings:
    """The stack's settings with changes: `hold_seconds=2`."""
    changes = _apart(changes) | changes
    given = {name.removeprefix("PITSTOP_").lower(): value for name, value in stack.environment.items()}
    return Settings.model_validate(given | changes)


def environment(stack: Stack, **changes: object) -> dict[str, str]:
    """The same for a process."""
    changes = _apart(changes) | changes
    changed = {f"PITSTOP_{name.upper()}": str(value) for name, value in changes.items()}
    return dict(os.environ) | stack.environment | changed


@asynccontextmanager
async def serving(app_settings: Settings, *, proxy_headers: bool = False) -> AsyncIterator[str]:
    """A real HTTP server in this process with these settings; gives its URL. `proxy_headers`: uvicorn reads them."""
    listener = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(
        create_app(app_settings),
        http=patient_with(app_settings.header_seconds),
        log_config=None,
        lifespan="on",
        proxy_headers=proxy_headers,
        timeout_graceful_shutdown=5,
        # As the product's own server: else it closes connections in the moment in which tests use them again.
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
    )
    server = uvicorn.Server(config)
    task = asyncio.create_task(server.serve(sockets=[listener]))
    url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    try:
        await until_live(url)
        yield url
    finally:
        server.should_exit = True
        await task


@asynccontextmanager
async def worker(variables: dict[str, str], module: str = "worker") -> AsyncIterator[Process]:
    """A worker process, killed at the end if it is still there."""
    async with running(module, [], variables) as process:
        yield process


@asynccontextmanager
async def uvicorn_process(variables: dict[str, str], application: str) -> AsyncIterator[tuple[Process, str]]:
    """An API process and its URL, at which it soon listens; killed at the end if it is still there."""
    port = str(free_port())
    async with running(
        "uvicorn",
        [application, "--host", "127.0.0.1", "--port", port, "--timeout-keep-alive", str(KEEP_ALIVE_SECONDS)],
        variables,
    ) as process:
        yield process, f"http://127.0.0.1:{port}"


@asynccontextmanager
async def running(module: str, arguments: Sequence[str], variables: dict[str, str]) -> AsyncIterator[Process]:
    """`python -m` the module in a process of its own, killed at the end if it is still there."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", module, *arguments),
        cwd=ROOT,
        env=variables,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def until_live(url: str) -> None:
    async with httpx.AsyncClient() as client:
        for _ in range(1000):
            try:
                if (await client.get(f"{url}/health/live")).status_code == 200:
                    return
            except httpx.TransportError:
                await asyncio.sleep(0.05)
    raise RuntimeError(f"the API at {url} does not answer")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


# Longer than a booking waits for its hold: its answer says more than our impatience.
_DEATH_SECONDS = 60


async def dies(process: Process | Forked, *calls: "asyncio.Task[Any]") -> None:
    """Waits until the process has killed itself. A call that ends before that has failed, and says why."""
    death = asyncio.create_task(process.wait())
    done, _ = await asyncio.wait([death, *calls], timeout=_DEATH_SECONDS, return_when=asyncio.FIRST_COMPLETED)
    for call in calls:
        if call in done and death not in done:
            raise AssertionError(f"answered before the worker died: {call.result()}")
    assert death in done, "the worker lives"
    assert death.result() == -9
