"""Moves bookings from one version of the workers to another. docs/upgrading.md says when to use what.

    python -m deploy.release                      the versions, what each gets and what it still has
    python -m deploy.release check                replays the open bookings on the code of this installation
    python -m deploy.release ramp BUILD PERCENT   so many per cent of the bookings, old and new, go to BUILD
    python -m deploy.release current BUILD        all bookings go to BUILD at their next step
    python -m deploy.release back                 the version that was current before is current again
    python -m deploy.release pin BUILD            open bookings last worked on by BUILD stay with it to their end
    python -m deploy.release unpin BUILD          they follow the current version again

It reads where Temporal is from the environment of the workers (PITSTOP_TEMPORAL_ADDRESS and so on). BUILD is a build
id from the list, or `unversioned` for workers that run with PITSTOP_VERSIONING=off. Exit code: 0 done, 1 refused; of
`check` 1 if a booking does not replay.
"""

import argparse
import asyncio
import sys
from collections.abc import Awaitable, Callable, Sequence

from temporalio.client import Client, WorkflowHistory
from temporalio.service import RPCError, RPCStatusCode
from temporalio.worker import Replayer, UnsandboxedWorkflowRunner

from pitstop.gateways.deployment import UNVERSIONED, Deployment, Version, VersionUnknown
from pitstop.gateways.temporal_engine import connect
from pitstop.settings import Settings
from workflows.booking import BookingWorkflow

_COLUMNS = ("version", "gets", "state", "workers", "open bookings", "pinned", "")
_LONGEST_FAILURE = 300


class Refused(Exception):
    """What was asked cannot be done; the text says why and what to do."""


async def show(deployment: Deployment, settings: Settings, say: Callable[[str], None]) -> None:
    versions = await deployment.versions()
    if not versions:
        raise Refused(f"no worker has ever worked on deployment {settings.deployment_name!r}: start one")
    rows = [_COLUMNS, *(_row(version) for version in versions)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        say("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def _row(version: Version) -> tuple[str, ...]:
    share = f"{version.share:g} %" if version.share else "-"
    numbers = (str(version.workers), str(version.open_bookings), str(version.pinned))
    return version.build_id, share, version.state, *numbers, _advice(version)


def _advice(version: Version) -> str:
    if version.needs_workers:
        return "" if version.workers else "START A WORKER: its bookings wait"
    return "its workers can be stopped" if version.workers else ""


async def check(client: Client, deployment: Deployment, say: Callable[[str], None]) -> None:
    """Replays every open booking; raises `Refused` with those that this code cannot go on with."""
    replayed, failed = 0, []
    async for workflow_id in deployment.open_bookings():
        try:
            history = await client.get_workflow_handle(workflow_id).fetch_history()
        except RPCError as error:
            if error.status is RPCStatusCode.NOT_FOUND:
                continue
            raise
        replayed += 1
        if (failure := await _failure(client, history)) is not None:
            failed.append(f"  {workflow_id}: {str(failure)[:_LONGEST_FAILURE]}")
    if failed:
        what = f"{len(failed)} of {replayed} open bookings do not replay on this code; do not make it current:"
        raise Refused("\n".join([what, *failed[:20]]))
    say(f"all {replayed} open bookings replay on this code")


async def _failure(client: Client, history: WorkflowHistory) -> Exception | None:
    replayer = Replayer(
        workflows=[BookingWorkflow],
        data_converter=client.data_converter,
        workflow_runner=UnsandboxedWorkflowRunner(),
    )
    return (await replayer.replay_workflow(history, raise_on_replay_failure=False)).replay_failure


async def make_current(deployment: Deployment, build_id: str, say: Callable[[str], None]) -> None:
    await deployment.make_current(None if build_id == UNVERSIONED else build_id)
    say(f"{build_id} is current: every booking goes there at its next step")


async def ramp(deployment: Deployment, build_id: str, percent: float, say: Callable[[str], None]) -> None:
    if await deployment.current() == build_id:
        raise Refused(f"{build_id} is current already and gets what no other version gets; ramp another one")
    await deployment.ramp(build_id, percent)
    say(f"{build_id} gets {percent:g} % of the bookings, old and new")


async def back(deployment: Deployment, say: Callable[[str], None]) -> None:
    """Ends a ramp if there is one; otherwise the version goes back that was current last."""
    versions = await deployment.versions()
    ramped = [version for version in versions if version.state == "ramping"]
    if ramped:
        await deployment.ramp(ramped[0].build_id, 0)
        say(f"{ramped[0].build_id} gets nothing any more; the current version has all bookings")
        return
    former = [version for version in versions if version.last_current and version.state != "current"]
    if not former:
        raise Refused("no other version has been current; `current BUILD` chooses one by name")
    await make_current(deployment, max(former, key=lambda version: version.last_current).build_id, say)  # type: ignore[arg-type,return-value]


async def pin(deployment: Deployment, build_id: str, say: Callable[[str], None]) -> None:
    await _require(deployment, build_id)
    bookings = [workflow_id async for workflow_id in deployment.open_bookings(build_id)]
    for workflow_id in bookings:
        await deployment.pin(workflow_id, build_id)
    say(f"{len(bookings)} open bookings stay with {build_id}: keep its workers until it has none")


async def unpin(deployment: Deployment, build_id: str, say: Callable[[str], None]) -> None:
    await _require(deployment, build_id)
    bookings = [workflow_id async for workflow_id in deployment.open_bookings(build_id, pinned=True)]
    for workflow_id in bookings:
        await deployment.unpin(workflow_id)
    say(f"{len(bookings)} open bookings follow the current version again")


async def _require(deployment: Deployment, build_id: str) -> None:
    known = [version.build_id for version in await deployment.versions() if version.build_id != UNVERSIONED]
    if build_id not in known:
        raise Refused(f"there is no version {build_id!r}; there are {', '.join(known) or 'none'}")


def _percent(text: str) -> float:
    if not 0 <= (percent := float(text)) <= 100:
        raise argparse.ArgumentTypeError("from 0 to 100")
    return percent


def _arguments(given: Sequence[str] | None) -> argparse.Namespace:
    about, _, usage = (__doc__ or "").partition("\n")
    parser = argparse.ArgumentParser(
        prog="python -m deploy.release",
        description=about,
        epilog=usage,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(dest="command", metavar="COMMAND")
    for name in ("list", "check", "back"):
        commands.add_parser(name)
    for name in ("current", "ramp", "pin", "unpin"):
        commands.add_parser(name).add_argument("build")
    commands.choices["ramp"].add_argument("percent", type=_percent)
    return parser.parse_args(given)


def _work(asked: argparse.Namespace, client: Client, settings: Settings, say: Callable[[str], None]) -> Awaitable[None]:
    deployment = Deployment(client, settings)
    works: dict[str | None, Callable[[], Awaitable[None]]] = {
        "check": lambda: check(client, deployment, say),
        "ramp": lambda: ramp(deployment, asked.build, asked.percent, say),
        "current": lambda: make_current(deployment, asked.build, say),
        "back": lambda: back(deployment, say),
        "pin": lambda: pin(deployment, asked.build, say),
        "unpin": lambda: unpin(deployment, asked.build, say),
    }
    return works.get(asked.command, lambda: show(deployment, settings, say))()


async def main(given: Sequence[str] | None, settings: Settings, say: Callable[[str], None]) -> None:
    """Does what the arguments ask; raises `SystemExit` with what to do when it cannot."""
    asked = _arguments(given)
    try:
        await _work(asked, await connect(settings), settings, say)
    except (Refused, VersionUnknown) as refused:
        raise SystemExit(str(refused)) from refused
    except RuntimeError as error:
        raise SystemExit(f"Temporal cannot be reached at {settings.temporal_address}: {error}") from error
    except RPCError as error:
        raise SystemExit(f"Temporal refuses: {error.message} ({error.status.name})") from error
    finally:
        # A process that ends right after its last call can crash in the interpreter's shutdown.
        await asyncio.sleep(0.05)


def _write(line: str) -> None:
    sys.stdout.write(f"{line}\n")


if __name__ == "__main__":
    asyncio.run(main(None, Settings(), _write))
