"""`python -m pitstop.devstack`: start, restart, stop and look at the embedded stack."""

from pathlib import Path
from typing import Annotated

import typer
from pydantic import ValidationError
from rich.console import Console
from rich.table import Table

from pitstop.devstack import control, folder, processes
from pitstop.devstack.names import NAMES, ROOT
from pitstop.devstack.stackfile import NAME as STACK_FILE

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="The whole of Pitstop on this machine.",
)
console = Console(highlight=False, soft_wrap=True)

DEFAULT_DATA = ROOT / ".pitstop"
Data = Annotated[
    Path | None,
    typer.Option("--data", metavar="DIR", help=f"Data folder. [default: {DEFAULT_DATA.name}/ here]"),
]


@app.command()
def up(
    data: Data = None,
    ephemeral: Annotated[
        bool, typer.Option("--ephemeral", help="Throw-away data: a temporary folder (or DIR), removed at the end.")
    ] = False,
    no_demo: Annotated[bool, typer.Option("--no-demo", help="Seed people and services, but book nothing.")] = False,
    no_app: Annotated[bool, typer.Option("--no-app", help="Everything but worker and API.")] = False,
    ports_from: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            help="Ports N, N+1, … for API, Temporal, its UI, PostgreSQL, Stripe, SMTP, mails, issuer, worker metrics, "
            "Twilio.",
        ),
    ] = None,
    supervise: Annotated[bool, typer.Option("--supervise", help="Start parts again that die.")] = False,
    time_skipping: Annotated[bool, typer.Option("--time-skipping", help="Let tests skip time in workflows.")] = False,
    fresh: Annotated[bool, typer.Option("--fresh", help="Delete the data of former runs first.")] = False,
) -> None:
    """Starts the stack and stays until Ctrl-C. When all is ready, DIR/stack.json says how to reach it."""
    where = folder.temporary() if ephemeral and data is None else _resolved(data)
    _check_settings()
    try:
        folder.settle(where)
    except (folder.NotEmpty, OSError) as refusal:
        raise _failed(str(refusal)) from None
    try:
        claim = control.Claim(where)
    except control.AlreadyRunning as refusal:
        raise _failed(f"{refusal} End it with Ctrl-C there or with the command `stop`.") from None
    with claim:
        (where / STACK_FILE).unlink(missing_ok=True)  # before the imports below, which take a second
        try:
            from pitstop.devstack import session
            from pitstop.devstack.stack import Options

            options = Options(ephemeral, not no_demo, ports_from, supervise, time_skipping, fresh, not no_app)
            code = session.run(where, options, console)
        finally:
            if ephemeral:
                folder.remove_ephemeral(where)
    raise typer.Exit(code)


@app.command()
def restart(
    name: Annotated[str, typer.Argument(help=f"One of {', '.join(NAMES)}.")],
    data: Data = None,
) -> None:
    """Stops a part of the running stack, if it is alive, and starts it on the same ports. Prints its process id."""
    try:
        answer = control.ask(_resolved(data), control.Request(restart=name))
    except (control.NotRunning, control.NoAnswer) as error:
        raise _failed(str(error)) from None
    if answer.error:
        raise _failed(answer.error)
    console.print(f"{name}: process {answer.pid}")


@app.command()
def stop(data: Data = None) -> None:
    """Stops the running stack and waits until it has ended."""
    try:
        control.stop(_resolved(data))
    except (control.NotRunning, control.NoAnswer) as error:
        raise _failed(str(error)) from None


@app.command()
def status(data: Data = None) -> None:
    """Shows the parts of the stack. Ends with 1 when none runs here."""
    where = _resolved(data)
    pid = control.running(where)
    if pid is None:
        raise _failed(f"No stack runs on {where}.")
    ready = (where / STACK_FILE).exists()
    console.print(f"Process {pid} on {where}: {'ready' if ready else 'not ready yet'}")
    table = Table("part", "process", "state")
    for record in processes.load_records(where / folder.PROCESSES):
        table.add_row(record.name, str(record.pid), "running" if record.find() else "[red]ended[/]")
    console.print(table)


def _check_settings() -> None:
    """A setting that worker and API would refuse is refused before anything is started."""
    from pitstop.settings import Settings  # here, because it takes a moment that the other commands can spare

    try:
        Settings()
    except ValidationError as error:
        faults = (f"PITSTOP_{'_'.join(map(str, fault['loc'])).upper()}: {fault['msg']}" for fault in error.errors())
        raise _failed("\n".join(faults)) from None


def _resolved(data: Path | None) -> Path:
    return (data or DEFAULT_DATA).resolve()


def _failed(reason: str) -> typer.Exit:
    Console(stderr=True, highlight=False, soft_wrap=True).print(f"[red]{reason}[/]")
    return typer.Exit(1)


if __name__ == "__main__":
    app(prog_name="python -m pitstop.devstack")
