"""`python -m chaos`: breaks a stack of its own in every way of a plan, and checks that nothing was lost or doubled."""

import os
import signal
import sys
import time
from pathlib import Path
from types import FrameType
from typing import Annotated

import typer
import uvloop
from pydantic import BaseModel
from rich.console import Console

from chaos import plan, report, soak
from chaos.faults import HarnessFailed
from chaos.stack import StackFailed, running_stack

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False, help=__doc__)
console = Console(highlight=False, soft_wrap=True, width=None if sys.stdout.isatty() else 160)

RESULTS = Path(__file__).with_name("results")
# Of the time of a run this much is left for the last sessions to end and for the checks.
_TAIL_SECONDS = 210.0
_SHORT_SECONDS = 45.0


@app.command()
def main(
    seed: Annotated[int, typer.Option(help="The same seed is the same plan.")] = 1,
    bookings: Annotated[int, typer.Option(min=15, help="How many slots are booked.")] = 300,
    minutes: Annotated[float, typer.Option(min=5, help="How long the run may take, rest and checks included.")] = 10,
    quick: Annotated[
        bool, typer.Option("--quick", help="Each kind of fault once, 45 s of trade: what tests run.")
    ] = False,
    out: Annotated[Path, typer.Option(metavar="DIR", help="Where the JSON and the stack's logs go.")] = RESULTS,
) -> None:
    """Ends with 1 when anything was lost, doubled or left undone."""
    signal.signal(signal.SIGTERM, _leave)
    out.mkdir(parents=True, exist_ok=True)
    try:
        clean = _soak(seed, bookings, minutes, quick, out)
    except (StackFailed, HarnessFailed) as failure:
        console.print(f"[red]The run says nothing:[/] {failure}")
        raise typer.Exit(2) from None
    raise typer.Exit(0 if clean else 1)


def _soak(seed: int, bookings: int, minutes: float, quick: bool, out: Path) -> bool:
    seconds = _SHORT_SECONDS if quick else minutes * 60 - _TAIL_SECONDS
    spans = soak.SHORT if quick else soak.LONG
    order = soak.Order(plan.make(seed, bookings, seconds, quick=quick), seconds, spans)
    console.rule(f"bookings under faults, seed {seed}")
    with console.status("Starting a stack …"), running_stack(spans.settings(), keep=out) as stack:
        results = uvloop.run(soak.run(stack, order, _say))
    report.soak(console, results)
    _save("soak", results, out)
    return results.clean


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
