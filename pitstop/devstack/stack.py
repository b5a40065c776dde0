"""A stack's life: its parts start, are watched, restarted on request, and stopped to the last process."""

import asyncio
import time
from collections.abc import Awaitable
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from rich.console import Console

from pitstop.devstack import control, demo, folder, postgres, processes
from pitstop.devstack.addresses import Addresses, Reservation, choose, consecutive, is_free
from pitstop.devstack.credentials import Credentials
from pitstop.devstack.description import describe
from pitstop.devstack.names import APPLICATION, FOUNDATION, NAMES, ROOT
from pitstop.devstack.parts import Part, Plan, parts, program
from pitstop.devstack.stackfile import NAME as STACK_FILE
from pitstop.devstack.stackfile import Stack, write_private
from pitstop.devstack.supervision import Supervision

START_ATTEMPTS = 3
READY_POLL_SECONDS = 0.05
WATCH_SECONDS = 0.1


class StartFailed(Exception):
    """A part did not become ready; the text says which and why."""

    def __init__(self, name: str, reason: str) -> None:
        super().__init__(f"{name}: {reason}")
        self.name = name


class PortTaken(StartFailed):
    """A part ended at once, and somebody else listens on its port."""


@dataclass(frozen=True)
class Options:
    """What the caller of `up` has chosen; the command line explains each."""

    ephemeral: bool = False
    demo: bool = True
    ports_from: int | None = None
    supervise: bool = False
    time_skipping: bool = False
    fresh: bool = False
    app: bool = True


class RunningStack:
    """All processes of one data folder, which the caller has claimed. `stop` must follow, however `start` went."""

    def __init__(self, data: Path, options: Options, console: Console) -> None:
        self._data = data
        self._options = options
        self._console = console
        self._reservation = Reservation()
        self._parts: dict[str, Part] = {}
        self._children: dict[str, processes.Child] = {}
        self._stack: Stack | None = None
        self._mourned: set[int] = set()
        self._supervision = Supervision()
        self._hurry = asyncio.Event()

    @property
    def is_ready(self) -> bool:
        """Whether `start` has succeeded."""
        return self._stack is not None

    def hurry(self) -> None:
        """From now on stopping kills instead of waiting."""
        self._hurry.set()

    async def start(self) -> Stack:
        """Starts every part and returns when all are ready. `StartFailed` or `NoPort` when that cannot be."""
        await self._clear()
        wanted = Addresses.load(self._data / folder.PORTS)
        credentials = Credentials.of(self._data)
        for attempt in range(1, START_ATTEMPTS + 1):
            plan = self._plan(wanted, credentials)
            try:
                await self._start_all(plan)
            except PortTaken:
                if self._options.ports_from is not None or attempt == START_ATTEMPTS:
                    raise
                await self._stop_all()
                self._reservation.release()
                continue
            write_private(self._data / folder.PORTS, plan.addresses.model_dump_json(indent=2) + "\n")
            self._stack = await describe(plan, self._pids())
            self._stack.save(self._data)
            return self._stack
        raise AssertionError("unreachable")

    async def watch(self) -> NoReturn:
        """Answers requests and notes deaths, for ever."""
        while True:
            for name, request in control.requests(self._data):
                control.answer(self._data, name, await self._restart(request.restart))
            for name, child in list(self._children.items()):
                if child.exit_code is not None:
                    await self._attend_to_death(name, child)
            await asyncio.sleep(WATCH_SECONDS)

    async def stop(self) -> None:
        """Stops all in reverse order and forgets them; with `hurry`, at once. Also right after a failed start."""
        (self._data / STACK_FILE).unlink(missing_ok=True)
        await self._stop_all()
        (self._data / folder.PROCESSES).unlink(missing_ok=True)
        self._reservation.release()

    async def _clear(self) -> None:
        """Ends what a killed stack has left behind and makes the folder ready for a new run."""
        (self._data / STACK_FILE).unlink(missing_ok=True)
        records = processes.load_records(self._data / folder.PROCESSES)
        if ended := await asyncio.to_thread(processes.end_orphans, records):
            self._console.print(f"Ended what the last run had left behind: {', '.join(ended)}")
        if self._options.ephemeral:
            folder.begin_ephemeral(self._data)
        elif self._options.fresh:
            await asyncio.to_thread(postgres.end_leftovers, self._data / "postgres")
            folder.wipe(self._data)
        folder.begin_logs(self._data)
        control.open_requests(self._data)

    def _plan(self, wanted: Addresses, credentials: Credentials) -> Plan:
        first, reservation = self._options.ports_from, self._reservation
        addresses = choose(wanted, reservation) if first is None else consecutive(first, reservation)
        return Plan(self._data, addresses, credentials, self._options.ephemeral, self._options.time_skipping)

    async def _start_all(self, plan: Plan) -> None:
        self._parts = parts(plan)
        if not self._options.app:
            self._parts = {name: part for name, part in self._parts.items() if name not in APPLICATION}
        await _together(self._start_database(plan), *(self._start(name) for name in FOUNDATION if name != "postgres"))
        await _together(*(self._start(name) for name in APPLICATION if name in self._parts))

    async def _start_database(self, plan: Plan) -> None:
        await self._start("postgres")
        began, port = time.monotonic(), plan.addresses.postgres
        try:
            await postgres.migrate(ROOT, port, plan.credentials, program("dbmate"))
        except processes.CommandFailed as error:
            raise StartFailed("migrations", str(error)) from error
        await postgres.set_passwords(port, plan.credentials)
        self._say_ready("schema", began)
        began = time.monotonic()
        await demo.seed(plan.database_url(postgres.SUPERUSER, plan.credentials.postgres_password))
        self._say_ready("demo data", began)

    async def _start(self, name: str) -> None:
        part, began = self._parts[name], time.monotonic()
        for _ in range(part.tries):
            child = await self._spawn(part)
            if await self._became_ready(part, child):
                self._say_ready(name, began, part.ports)
                return
        taken = [str(port) for port in part.ports.values() if not is_free(port)]
        if taken:
            raise PortTaken(name, f"another program listens on port {', '.join(taken)}")
        raise StartFailed(name, f"it ended with {child.exit_code} before it was ready")

    async def _spawn(self, part: Part) -> processes.Child:
        try:
            if part.prepare:
                await part.prepare()
            child = processes.spawn(part.name, part.command(), folder.log(self._data, part.name), part.stop_signal)
        except (OSError, processes.CommandFailed) as error:
            raise StartFailed(part.name, str(error)) from error
        self._children[part.name] = child
        self._record()
        return child

    async def _became_ready(self, part: Part, child: processes.Child) -> bool:
        """False when the process has ended. `StartFailed` when it lives and is not ready in time."""
        until = time.monotonic() + part.start_seconds
        while time.monotonic() < until:
            ready = await part.is_ready()
            if child.exit_code is not None:
                return False
            if ready:
                return True
            await asyncio.sleep(READY_POLL_SECONDS)
        raise StartFailed(part.name, f"not ready after {part.start_seconds:.0f} seconds")

    async def _restart(self, name: str) -> control.Answer:
        if name not in self._parts:
            return control.Answer(error=f"no part {name!r} here; there are {', '.join(self._parts)}")
        if child := self._children.pop(name, None):
            await processes.stop(child, self._parts[name].stop_seconds, self._hurry)
        try:
            await self._start(name)
        except StartFailed as error:
            return control.Answer(error=f"{error}; see {folder.log(self._data, name)}")
        self._publish_pids()
        return control.Answer(pid=self._children[name].pid)

    async def _attend_to_death(self, name: str, child: processes.Child) -> None:
        if child.pid not in self._mourned:
            self._mourned.add(child.pid)
            delay = self._supervision.delay_after_death(name, time.monotonic() - child.started)
            then = f"restarting it in {delay:.1f} s" if self._options.supervise else "`restart` starts it again"
            self._console.print(f"[yellow]{name} (process {child.pid}) has ended with {child.exit_code}[/]; {then}")
        if self._options.supervise and self._supervision.is_due(name):
            outcome = await self._restart(name)
            if outcome.error:
                self._console.print(f"[red]{outcome.error}[/]")

    async def _stop_all(self) -> None:
        for stage in (APPLICATION, FOUNDATION):
            names = [name for name in stage if name in self._children]
            await asyncio.gather(*(self._stop(name) for name in names))
        if "postgres" in self._parts:
            await asyncio.to_thread(postgres.end_leftovers, self._data / "postgres")

    async def _stop(self, name: str) -> None:
        await processes.stop(self._children[name], self._parts[name].stop_seconds, self._hurry)
        del self._children[name]

    def _record(self) -> None:
        """Written at each start, so that a next run finds the processes even if this one is killed while starting."""
        records = (self._children[name].record() for name in NAMES if name in self._children)
        processes.save_records(self._data / folder.PROCESSES, (record for record in records if record))

    def _publish_pids(self) -> None:
        if self._stack:
            self._stack = self._stack.model_copy(update={"pids": self._pids()})
            self._stack.save(self._data)

    def _pids(self) -> dict[str, int]:
        return {name: self._children[name].pid for name in NAMES if name in self._children}

    def _say_ready(self, name: str, began: float, ports: dict[str, int] | None = None) -> None:
        where = f"  [dim]port {', '.join(map(str, ports.values()))}[/]" if ports else ""
        self._console.print(f"  [green]✓[/] {name:<10} {time.monotonic() - began:5.1f} s{where}")


async def _together(*starts: Awaitable[None]) -> None:
    """All at once; the first failure cancels the others and is raised as itself."""
    try:
        async with asyncio.TaskGroup() as group:
            for start in starts:
                group.create_task(_awaited(start))
    except ExceptionGroup as failures:
        raise failures.exceptions[0] from None


async def _awaited(start: Awaitable[None]) -> None:
    await start
