"""One stack for the whole test run: PostgreSQL, Temporal with time skipping, Stripe server, mail sink, worker, API."""

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil

from pitstop.devstack.stackfile import NAME, Stack
from pitstop.settings import Settings

_START_LIMIT_SECONDS = 120
_SETTINGS = {
    # In the sandbox, a workflow that would not replay fails at once.
    "PITSTOP_WORKFLOW_SANDBOX": "true",
    # A rush of many callers on a busy machine is to be seen through; overload has tests of its own.
    "PITSTOP_BOOKINGS_PATIENCE_SECONDS": "60",
    "PITSTOP_READS_PATIENCE_SECONDS": "60",
}


def start() -> tuple[subprocess.Popen[bytes], Path]:
    """Starts the stack in a folder of its own and waits until it is ready. A short path: sockets have short names."""
    folder = Path(tempfile.mkdtemp(prefix="pitstop-"))
    command = [sys.executable, "-m", "pitstop.devstack", "up", "--ephemeral", "--no-demo", "--time-skipping"]
    log = folder.with_suffix(".log")
    with log.open("wb") as output:
        process = subprocess.Popen(
            [*command, "--data", str(folder)],
            stdout=output,
            stderr=output,
            start_new_session=True,
            env=dict(os.environ) | _SETTINGS,
        )
    deadline = time.monotonic() + _START_LIMIT_SECONDS
    while not (folder / NAME).exists():
        if process.poll() is not None or time.monotonic() > deadline:
            stop(process)
            raise RuntimeError(f"the stack did not start:\n{log.read_text()[-4000:]}")
        time.sleep(0.1)
    return process, folder


def stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(timeout=60)
    except subprocess.TimeoutExpired:
        process.kill()


def load(folder: Path) -> Stack:
    return Stack.load(folder)


def settings(stack: Stack) -> Settings:
    """The stack's engine and its keys, for clients of the tests' own."""
    names = ("temporal_address", "temporal_namespace", "payload_keys", "payload_key_id")
    return Settings.model_validate({name: stack.environment[f"PITSTOP_{name.upper()}"] for name in names})


def folder_of(stack: Stack) -> Path:
    """Where the stack keeps its data and its logs."""
    worker = psutil.Process(stack.pids["worker"])
    return Path(worker.environ()["PITSTOP_WORKER_READY_FILE"]).parent


def variable() -> str | None:
    """A stack that runs already, for quick work on one test: PITSTOP_TEST_STACK names its data folder."""
    return os.environ.get("PITSTOP_TEST_STACK")
