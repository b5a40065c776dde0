"""`python -m bench`: what a booking costs, as multiples of the least that the same engine and database can do."""

import os
import signal
import sys
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from types import FrameType
from typing import Annotated, Any

import typer
import uvloop
from pydantic import BaseModel
from rich.console import Console

from bench import (
    availability,
    availability_report,
    burst,
    endurance,
    flow,
    hold,
    overload,
    pressure_report,
    report,
    saga,
)
from bench.stack import StackFailed, running_stack
from pitstop.devstack.stackfile import Stack

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False, help=__doc__)
console = Console(highlight=False, width=None if sys.stdout.isatty() else 160)

RESULTS = Path(__file__).with_name("results")


class Program(StrEnum):
    HOLD = "hold"
    SAGA = "saga"
    FLOW = "flow"
    AVAILABILITY = "availability"
    LOAD = "load"
    OVERLOAD = "overload"
    BURST = "burst"


# Those that measure; the others press, for minutes, and are asked for by name.
MEASURES = (Program.HOLD, Program.SAGA, Program.FLOW, Program.AVAILABILITY)


@dataclass(frozen=True, slots=True)
class Choice:
    """What was asked for on the command line."""

    quick: bool
    crowd: endurance.Crowd
    reservations: int


@dataclass(frozen=True, slots=True)
class _Parts:
    about: str
    settings: dict[str, str]
    measure: Callable[[Stack, Choice, Console], Awaitable[Any]]
    show: Callable[[Console, Any], None]
    in_memory: bool = True


def _by_length(
    measure: Callable[[Stack, bool, Console], Awaitable[Any]],
) -> Callable[[Stack, Choice, Console], Awaitable[Any]]:
    """For programs that are quick or not, and no more."""
    return lambda stack, choice, console: measure(stack, choice.quick, console)


_PROGRAMS = {
    Program.HOLD: _Parts(
        "a hold beside a bare workflow and a bare INSERT", hold.SETTINGS, _by_length(hold.measure), report.hold
    ),
    Program.SAGA: _Parts(
        "CPU of a whole booking beside a bare saga", saga.SETTINGS, _by_length(saga.measure), report.saga
    ),
    Program.FLOW: _Parts("holds and paid bookings a second", flow.SETTINGS, _by_length(flow.measure), report.flow),
    Program.AVAILABILITY: _Parts(
        "searches on small and large tables beside SELECT 1",
        availability.SETTINGS,
        lambda stack, choice, console: availability.measure(
            stack, availability.Extent.of(choice.quick, choice.reservations), console
        ),
        availability_report.show,
    ),
    Program.LOAD: _Parts(
        "many clients for minutes",
        endurance.SETTINGS,
        lambda stack, choice, console: endurance.measure(stack, choice.crowd, console),
        pressure_report.load,
        in_memory=False,
    ),
    Program.OVERLOAD: _Parts(
        "three times as many bookings as can be made",
        overload.SETTINGS,
        _by_length(overload.measure),
        pressure_report.overload,
    ),
    Program.BURST: _Parts(
        "hundreds of holds that end together",
        burst.SETTINGS,
        _by_length(burst.measure),
        pressure_report.burst,
        in_memory=False,
    ),
}


@app.command()
def main(
    quick: Annotated[bool, typer.Option("--quick", help="A look in five minutes instead of figures in ten.")] = False,
    only: Annotated[list[Program] | None, typer.Option(help="This program alone; may be given again.")] = None,
    minutes: Annotated[int, typer.Option(min=3, help="How long `load` presses.")] = 5,
    clients: Annotated[int, typer.Option(min=1, help="How many clients `load` has.")] = 200,
    think: Annotated[
        float, typer.Option(min=0.1, help="The mean of their pauses, in seconds.")
    ] = endurance.THINK_SECONDS,
    reservations: Annotated[
        int, typer.Option(min=10_000, help="The largest table of `availability`: a million, or ten (10000000).")
    ] = 1_000_000,
    out: Annotated[Path, typer.Option(metavar="DIR", help="Where JSON and plots go.")] = RESULTS,
) -> None:
    """Measures bookings against a bare workflow, a bare saga and a bare INSERT.

    Each program starts a stack of its own with throw-away data and stops it. Its systems take turns, so that other work
    on the machine hits all of them: ratios are what counts, not milliseconds. `load`, `overload` and `burst` run when
    they are named; they fail when what they look for does not hold.
    """
    signal.signal(signal.SIGTERM, _leave)
    out.mkdir(parents=True, exist_ok=True)
    choice = Choice(quick, endurance.Crowd(clients, minutes, think), reservations)
    passed = True
    for program in only or MEASURES:
        try:
            passed &= _run(program, choice, out)
        except StackFailed as failure:
            console.print(f"[red]{program}:[/] {failure}", markup=True)
            raise typer.Exit(1) from None
    if not passed:
        raise typer.Exit(1)


def _run(program: Program, choice: Choice, out: Path) -> bool:
    """Whether all that the program looks for holds; those that measure look for nothing."""
    parts = _PROGRAMS[program]
    console.rule(f"{program}: {parts.about}")
    with console.status("Starting a stack …"), running_stack(parts.settings, in_memory=parts.in_memory) as stack:
        results = uvloop.run(_measure(parts, stack, choice))
    report.machine(console, results.machine)
    parts.show(console, results)
    _save(program, results, out)
    return getattr(results, "passed", True)


async def _measure(parts: _Parts, stack: Stack, choice: Choice) -> Any:
    return await parts.measure(stack, choice, console)


def _save(program: Program, results: BaseModel, out: Path) -> None:
    from bench import plots

    data, picture = out / f"{program}.json", out / f"{program}.png"
    data.write_text(results.model_dump_json(indent=2) + "\n", encoding="utf-8")
    getattr(plots, program.value)(results, picture)
    console.print(f"[dim]{data}, {picture}[/]")


def _leave(number: int, _frame: FrameType | None) -> None:
    sys.exit(128 + number)


def _run_to_the_end() -> int:
    try:
        app(prog_name="python -m bench")
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else 1
    return 0


if __name__ == "__main__":
    code = _run_to_the_end()
    sys.stdout.flush()
    sys.stderr.flush()
    # The engine's client can crash the interpreter's shutdown, which would turn a good end into a bad exit code.
    os._exit(code)
