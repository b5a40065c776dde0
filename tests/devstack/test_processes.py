"""Processes end for certain: asked first, killed when they do not listen, found again when their stack was killed."""

import asyncio
import os
import signal
import sys
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import psutil
import pytest

from pitstop.devstack.processes import (
    Child,
    Command,
    CommandFailed,
    Record,
    end_orphans,
    load_records,
    run,
    save_records,
    spawn,
    stop,
)

OBEDIENT = "import time; print('up', flush=True); time.sleep(600)"
STUBBORN = (
    "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True); time.sleep(600)"
)
PARENT = (
    "import subprocess, sys, time; child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)']);"
    "print('up', child.pid, flush=True); time.sleep(600)"
)

Spawn = Callable[[str], Child]


def _python(code: str, folder: Path) -> Command:
    return Command([sys.executable, "-c", code], dict(os.environ), folder)


@pytest.fixture
async def start(tmp_path: Path) -> AsyncIterator[Spawn]:
    children: list[Child] = []

    def begin(code: str) -> Child:
        child = spawn(f"part{len(children)}", _python(code, tmp_path), tmp_path / f"part{len(children)}.log")
        children.append(child)
        return child

    yield begin
    for child in children:
        await stop(child, 0, asyncio.Event())


async def _until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not condition():  # noqa: ASYNC110 - another process makes it true
            await asyncio.sleep(0.02)


async def _output(folder: Path) -> str:
    """The log once the process has said that it is up."""
    log = folder / "part0.log"
    await _until(lambda: "up" in log.read_text())
    return log.read_text()


def _is_gone(pid: int) -> bool:
    return not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE


async def test_an_obedient_process_ends_by_the_signal(start: Spawn, tmp_path: Path) -> None:
    child = start(OBEDIENT)
    await _output(tmp_path)
    await stop(child, 20, asyncio.Event())
    assert child.exit_code == -signal.SIGTERM


async def test_a_process_that_ignores_the_signal_is_killed(start: Spawn, tmp_path: Path) -> None:
    child = start(STUBBORN)
    await _output(tmp_path)
    await stop(child, 0.3, asyncio.Event())
    assert child.exit_code == -signal.SIGKILL


async def test_hurry_ends_the_patience(start: Spawn, tmp_path: Path) -> None:
    child, hurry = start(STUBBORN), asyncio.Event()
    await _output(tmp_path)
    began = time.monotonic()
    asyncio.get_running_loop().call_later(0.1, hurry.set)
    await stop(child, 60, hurry)
    assert child.exit_code == -signal.SIGKILL
    assert time.monotonic() - began < 10


async def test_children_of_a_process_end_with_it(start: Spawn, tmp_path: Path) -> None:
    child = start(PARENT)
    grandchild = int((await _output(tmp_path)).split()[-1])
    assert not _is_gone(grandchild)
    await stop(child, 20, asyncio.Event())
    await _until(lambda: _is_gone(grandchild))


async def test_a_process_leads_its_own_session(start: Spawn) -> None:
    child = start(OBEDIENT)
    assert os.getsid(child.pid) == os.getpgid(child.pid) == child.pid


async def test_an_orphan_is_found_by_its_record_and_ended(start: Spawn, tmp_path: Path) -> None:
    child = start(STUBBORN)
    await _output(tmp_path)
    record = child.record()
    assert record
    save_records(tmp_path / "processes.json", [record])
    found = load_records(tmp_path / "processes.json")
    assert await asyncio.to_thread(end_orphans, found, 0.3) == ["part0"]
    await _until(lambda: child.exit_code == -signal.SIGKILL)


@pytest.mark.parametrize("change", [{"started_at": 1.0}, {"arguments": ("python", "another.py")}])
async def test_another_process_under_the_recorded_id_is_left_alone(
    change: dict[str, object], start: Spawn, tmp_path: Path
) -> None:
    child = start(OBEDIENT)
    await _output(tmp_path)
    record = child.record()
    assert record
    assert record.find()
    other: Record = record.model_copy(update=change)
    assert end_orphans([other]) == []
    assert child.exit_code is None


async def test_an_ended_process_has_no_record(start: Spawn) -> None:
    child = start("pass")
    await _until(lambda: child.exit_code is not None)
    assert child.record() is None


def test_no_records_where_nothing_ran(tmp_path: Path) -> None:
    assert load_records(tmp_path / "processes.json") == ()


async def test_a_command_returns_its_output(tmp_path: Path) -> None:
    assert await run(_python("print('done')", tmp_path)) == "done\n"


async def test_a_failed_command_says_why(tmp_path: Path) -> None:
    with pytest.raises(CommandFailed, match=r"(?s)ended with 3:\nno such thing"):
        await run(_python("import sys; print('no such thing'); sys.exit(3)", tmp_path))


async def test_a_cancelled_command_leaves_no_process(tmp_path: Path) -> None:
    note = tmp_path / "pid"
    code = f"import os, time; open({str(note)!r}, 'w').write(str(os.getpid())); time.sleep(600)"
    task = asyncio.create_task(run(_python(code, tmp_path)))
    await _until(lambda: note.exists() and bool(note.read_text()))
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert _is_gone(int(note.read_text()))
