"""One run of `up`, from claiming the data folder to the last process gone, whatever happens in between."""

import asyncio
import signal
from pathlib import Path
from typing import NoReturn

from rich.console import Console
from rich.markup import escape
from rich.panel import Panel
from rich.table import Table

from pitstop.devstack import folder, tour
from pitstop.devstack.addresses import NoPort
from pitstop.devstack.postgres import UnusableFolder
from pitstop.devstack.stack import Options, RunningStack, StartFailed
from pitstop.devstack.stackfile import Stack

FAILED, INTERRUPTED = 1, 130
REFUSALS = (folder.NotEmpty, NoPort, UnusableFolder)


def run(data: Path, options: Options, console: Console) -> int:
    """Runs a stack on a claimed folder until SIGINT, SIGTERM or SIGHUP; a second one kills. Returns the exit code."""
    return asyncio.run(_run(data, options, console))


async def _run(data: Path, options: Options, console: Console) -> int:
    stack = RunningStack(data, options, console)
    life = asyncio.create_task(_live(stack, data, options, console))
    _on_signals(life, stack, console)
    try:
        await life
    except asyncio.CancelledError:
        return 0 if stack.is_ready else INTERRUPTED
    except REFUSALS as refusal:
        console.print(f"[red]{escape(str(refusal))}[/]")
        return FAILED
    except StartFailed as failure:
        _explain(failure, data, console)
        return FAILED
    finally:
        await stack.stop()
        console.print("Stopped.")


async def _live(stack: RunningStack, data: Path, options: Options, console: Console) -> NoReturn:
    with console.status("Starting the stack …"):
        described = await stack.start()
    async with asyncio.TaskGroup() as group:
        watch = group.create_task(stack.watch())
        if options.demo and options.app:
            await _show(described, console)
        console.print(_summary(described, data))
        await watch
    raise AssertionError("the watch has no end")


async def _show(described: Stack, console: Console) -> None:
    """The tour is no condition for the stack: when it fails, the stack stays up, to be looked at."""
    try:
        await tour.run(described)
    except Exception:
        console.print_exception(max_frames=4)
        console.print("[red]The demo booking did not go through.[/] The stack stays up; its logs say more.")


def _on_signals(life: asyncio.Task[NoReturn], stack: RunningStack, console: Console) -> None:
    def interrupt() -> None:
        if life.done() or life.cancelling():
            stack.hurry()
            return
        console.print("\nStopping (once more: kill) …")
        life.cancel()

    for sign in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        asyncio.get_running_loop().add_signal_handler(sign, interrupt)


def _explain(failure: StartFailed, data: Path, console: Console) -> None:
    log = folder.log(data, failure.name)
    console.print(f"[red]The stack did not start: {escape(str(failure))}[/]")
    if text := folder.tail(log):
        console.print(f"[dim]The end of {escape(str(log))}:[/]\n{escape(text)}\n")
    console.print("Stopping what was started. Mend the cause and start again; FRESH=1 (--fresh) starts clean.")


def _summary(stack: Stack, data: Path) -> Panel:
    rows = {
        "API": f"{stack.api_url}/docs",
        "pages": stack.api_url,
        "Temporal": f"{stack.temporal_ui_url}/namespaces/{stack.temporal_namespace}/workflows",
        "to read it": f"{stack.api_url}/operators/sign-in (with tokens.operator of stack.json)",
        "mail": stack.mail_url,
        "text messages": stack.twilio_api_url,
        "Stripe server": stack.stripe_api_url,
        "token keys": stack.jwks_url,
        "PostgreSQL": stack.database_url.rpartition("@")[2],
        "all of it": str(data / "stack.json"),
        "logs": str(data / folder.LOGS),
    }
    table = Table.grid(padding=(0, 2))
    for name, value in rows.items():
        table.add_row(f"[bold]{name}[/]", escape(value))
    return Panel(table, title="Pitstop is up", subtitle="Ctrl-C stops it", expand=False)
