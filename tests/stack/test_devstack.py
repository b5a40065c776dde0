"""`python -m pitstop.devstack` as a newcomer and an outside harness use it: up, restart, stop, and up again."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import httpx
import psutil
import pytest

from pitstop.devstack.stackfile import NAME, Stack
from tests.support.processes import ROOT

_PARTS = {"postgres", "temporal", "stripe", "twilio", "mail", "issuer", "worker", "api"}
_START_SECONDS = 120


def is_alive(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


class Run:
    """One `up`, in a terminal of its own."""

    def __init__(self, data: Path, process: asyncio.subprocess.Process, log: Path) -> None:
        self.data = data
        self.process = process
        self.log = log

    @classmethod
    async def up(cls, data: Path, *options: str) -> "Run":
        log = data.with_suffix(".log")
        with log.open("wb") as output:
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "pitstop.devstack", "up", "--data", str(data), *options),
                cwd=ROOT,
                stdout=output,
                stderr=output,
                start_new_session=True,
                env=dict(os.environ) | {"COLUMNS": "200"},
            )
        run = cls(data, process, log)
        await run.until(lambda: (data / NAME).exists())
        return run

    async def until(self, ready: Callable[[], bool]) -> None:
        for _ in range(_START_SECONDS * 5):
            if ready():
                return
            assert self.process.returncode is None, self.log.read_text()
            await asyncio.sleep(0.2)
        raise AssertionError(self.log.read_text())

    @property
    def stack(self) -> Stack:
        return Stack.load(self.data)

    async def interrupt(self) -> list[psutil.Process]:
        """Ctrl-C; gives what is left of the processes that belonged to it."""
        family = [psutil.Process(pid) for pid in self.stack.pids.values() if is_alive(pid)]
        family += [child for parent in list(family) for child in parent.children(recursive=True)]
        self.process.send_signal(signal.SIGINT)
        assert await self.process.wait() == 0, self.log.read_text()
        return [each for each in family if is_alive(each.pid)]


async def _devstack(*arguments: str) -> str:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "pitstop.devstack", *arguments),
        cwd=ROOT,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output, _ = await process.communicate()
    assert process.returncode == 0, output.decode()
    return output.decode()


@pytest.fixture
async def http() -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(timeout=20) as client:
        yield client


async def _confirmed(http: httpx.AsyncClient, stack: Stack) -> list[str]:
    headers = {"Authorization": f"Bearer {stack.tokens.customer}"}
    answer = await http.get(f"{stack.api_url}/v1/bookings", params={"status": "confirmed"}, headers=headers)
    return [booking["id"] for booking in answer.json()["items"]]


async def test_up_books_restarts_parts_stops_clean_and_finds_its_data_again(
    tmp_path: Path, http: httpx.AsyncClient
) -> None:
    data = tmp_path / "data"
    run = await Run.up(data)
    await run.until(lambda: "Ctrl-C stops it" in run.log.read_text())
    stack = run.stack
    assert set(stack.pids) == _PARTS
    [booked] = await _confirmed(http, stack)
    for url in (
        f"{stack.api_url}/docs",
        stack.temporal_ui_url,
        stack.mail_url,
        stack.stripe_api_url,
        stack.twilio_api_url,
    ):
        assert (await http.get(url, follow_redirects=True)).status_code == 200, url
        assert url.removesuffix("/docs") in run.log.read_text()
    mails = (await http.get(f"{stack.mail_url}/api/messages")).json()
    assert [mail["subject"].split(":")[0] for mail in mails] == ["Confirmed"]

    await _devstack("restart", "worker", "--data", str(data))
    restarted = run.stack
    assert restarted.pids["worker"] != stack.pids["worker"]
    assert restarted.pids["api"] == stack.pids["api"]
    assert (await http.get(f"{stack.api_url}/health/ready")).status_code == 200

    assert await run.interrupt() == []
    again = await Run.up(data, "--no-demo")
    assert await _confirmed(http, again.stack) == [booked]
    await _devstack("stop", "--data", str(data))
    assert await again.process.wait() == 0


@pytest.mark.parametrize("supervised", [True, False])
async def test_a_part_that_is_killed_comes_back_only_under_supervision(tmp_path: Path, supervised: bool) -> None:
    run = await Run.up(tmp_path / "data", "--ephemeral", "--no-demo", *(["--supervise"] if supervised else []))
    mail = run.stack.pids["mail"]
    os.kill(mail, signal.SIGKILL)
    if supervised:
        await run.until(lambda: run.stack.pids["mail"] != mail)
    else:
        await asyncio.sleep(3)
        assert run.stack.pids.get("mail", mail) == mail
        assert not is_alive(mail)
    assert await run.interrupt() == []
    assert not run.data.exists()
