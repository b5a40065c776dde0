"""`python -m chaos`: breaks a stack of its own in every way of a plan, and checks that nothing was lost or doubled."""

import os
import signal
import sys
import time
from collections.abc import Callable
from enum import StrEnum
from pathlib import Path
from types import FrameType
from typing import Annotated

import typer
import uvloop
from pydantic import BaseModel
from rich.console import Console

from chaos import plan, points, recovery, report, soak
from chaos.controls import CONTROLS
from chaos.faults import HarnessFailed
from chaos.lab import NotRight
from chaos.stack import StackFailed, running_stack

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False, help=__doc__)
console = Console(highlight=False, soft_wrap=True, width=None if sys.stdout.isatty() else 160)

RESULTS = Path(__file__).with_name("results")
# Of the time of a run this much is left for the last sessions to end and for the checks.
_TAIL_SECONDS = 210.0
_SHORT_SECONDS = 45.0


class Program(StrEnum):
    SOAK = "soak"
    POINTS = "points"
    RECOVERY = "recovery"


class Wish(BaseModel):
    """What the command line asks for."""

    seed: int
    bookings: int
    minutes: float
    quick: bool
    control: str | None
    settings: dict[str, str]
    out: Path


@app.command()
def main(
    seed: Annotated[int, typer.Option(help="The same seed is the same plan.")] = 1,
    bookings: Annotated[int, typer.Option(min=24, help="How many slots are booked.")] = 300,
    minutes: Annotated[float, typer.Option(min=5, help="How long the soak may take, rest and checks included.")] = 10,
    quick: Annotated[
        bool, typer.Option("--quick", help="A look: each kind of fault once, one death of each scenario.")
    ] = False,
    only: Annotated[list[Program] | None, typer.Option(help="This program alone; may be given again.")] = None,
    control: Annotated[
        str | None, typer.Option(help=f"Take a guard away first; violations are expected: {', '.join(CONTROLS)}.")
    ] = None,
    setting: Annotated[
        list[str] | None, typer.Option(metavar="NAME=VALUE", help="A PITSTOP_… variable of the stack.")
    ] = None,
    out: Annotated[Path, typer.Option(metavar="DIR", help="Where the JSON and the stack's logs go.")] = RESULTS,
) -> None:
    """Three programs: bookings under faults, a death at every point between two effects, and how soon one recovers.

    Ends with 1 when anything was lost, doubled or left undone, with 2 when the run itself failed.
    """
    signal.signal(signal.SIGTERM, _leave)
    if control is not None and control not in CONTROLS:
        raise typer.BadParameter(f"there are {', '.join(CONTROLS)}", param_hint="--control")
    out.mkdir(parents=True, exist_ok=True)
    settings = dict(each.split("=", 1) for each in setting or [])
    wish = Wish(seed=seed, bookings=bookings, minutes=minutes, quick=quick, control=control, settings=settings, out=out)
    try:
        clean = [_PROGRAMS[program](wish) for program in only or list(Program)]
    except (StackFailed, HarnessFailed, NotRight) as failure:
        console.print(f"[red]The run says nothing:[/] {failure}")
        raise typer.Exit(2) from None
    raise typer.Exit(0 if all(clean) else 1)


def _soak(wish: Wish) -> bool:
    seconds = _SHORT_SECONDS if wish.quick else wish.minutes * 60 - _TAIL_SECONDS
    spans = soak.SHORT if wish.quick else soak.LONG
    made = plan.make(wish.seed, wish.bookings, seconds, quick=wish.quick)
    order = soak.Order(made, seconds, spans, CONTROLS.get(wish.control or ""), bounded=not wish.quick)
    console.rule(f"bookings under faults, seed {wish.seed}")
    with (
        console.status("Starting a stack …"),
        running_stack(spans.settings() | wish.settings, keep=wish.out) as stack,
    ):
        results = uvloop.run(soak.run(stack, order, _say))
    report.soak(console, results)
    _save("soak", results, wish.out)
    return results.clean


def _points(wish: Wish) -> bool:
    console.rule("a death at every point")
    with console.status("Starting a stack …"), running_stack(wish.settings, "--time-skipping") as stack:
        results = uvloop.run(points.run(stack.now, _say, short=wish.quick))
    report.points(console, results)
    _save("points", results, wish.out)
    return results.clean


def _recovery(wish: Wish) -> bool:
    console.rule("how soon a booking goes on")
    with console.status("Starting a stack …"), running_stack(wish.settings) as stack:
        results = uvloop.run(recovery.run(stack, 3 if wish.quick else 8, _say))
    report.recovery(console, results)
    _save("recovery", results, wish.out)
    return True


_PROGRAMS: dict[Program, Callable[[Wish], bool]] = {
    Program.SOAK: _soak,
    Program.POINTS: _points,
    Program.RECOVERY: _recovery,
}


def _say(what: str) -> None:
    console.print(f"[dim]{time.strftime('%H:%M:%S')}[/] {what}")


def _save(name: str, results: BaseModel, out: Path) -> None:
    path = out / f"{name}.json"
    path.write_text(results.model_dump_json(indent=2) + "\n", encoding="utf-8")
    console.print(f"[dim]{path}[/]")


def _leave(number: int, _frame: FrameType | None) -> None:
    sys.exit(128 + number)


def _run_to_the_end() -> int:
    try:
        app(prog_name="python -m chaos")
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else 1
    return 0


if __name__ == "__main__":
    code = _run_to_the_end()
    sys.stdout.flush()
    sys.stderr.flush()
    # The engine's client can crash the interpreter's shutdown, which would turn a good end into a bad exit code.
    os._exit(code)
