"""Histories of bookings: replayed as soon as they are made, and kept for later releases to replay.

They are replayed as the engine keeps them, sealed; recorded, they are opened, so that one can read what changes.
"""

import json
import os
import re
from pathlib import Path
from typing import Any

from temporalio import workflow
from temporalio.api.history.v1 import HistoryEvent
from temporalio.client import WorkflowHandle, WorkflowHistory
from temporalio.converter import DataConverter
from temporalio.worker import Replayer

from pitstop.release import RELEASE
from workflows.booking import BookingWorkflow

# The sandbox reads the module of a test's workflow again, and with it this one: ciphers cannot be read twice.
with workflow.unsafe.imports_passed_through():
    from pitstop.gateways.payload_codec import data_converter
    from pitstop.settings import Settings
    from tests.support.opened import opened

FOLDER = Path(__file__).parents[1] / "replay" / "histories"
# Set while a release is made: endings that have no recorded history yet get one. One that is there is never replaced.
_RECORD = "PITSTOP_RECORD_HISTORIES"
# What replay does not read, and what tells of the machine it was recorded on.
# What the SDK says of itself is kept: by it the replay knows what a `patched` has put into the history.
_NOT_KEPT = ("identity", "stackTrace", "workerVersion")

# A sticky task queue bears the name of its worker: process id and host.
_WORKER_NAME = re.compile(r"^\d+@\S+$")


_INTRODUCTION = """# Recorded histories

Bookings of each release, as Temporal recorded them. The tests replay all of them on the present code, so that a booking
that an older release has begun can go on. One that is here is never changed. `.venv/bin/python -m scripts.histories`
writes this page; a test compares it.
"""
_ENDS = "workflow_execution_"


def commands(history: WorkflowHistory) -> list[str]:
    """What the run did, step by step, in the words of an operator: `hold the slot`, `timer: time to pay`."""
    return [done for event in history.events if (done := _command(event))]


async def taken(handle: WorkflowHandle[Any, Any]) -> list[str]:
    """The same of a run, whose history is opened for it."""
    return commands(opened(await handle.fetch_history(), handle._client.data_converter))


def _command(event: HistoryEvent) -> str | None:
    kind = str(event.WhichOneof("attributes")).removesuffix("_event_attributes")
    summary = json.loads(event.user_metadata.summary.data or '""')
    if kind == "marker_recorded":
        marker = event.marker_recorded_event_attributes
        data = json.loads(marker.details["data"].payloads[0].data) if "data" in marker.details else {}
        return str(data["activity_type"]) if marker.marker_name == "core_local_activity" else f"patch: {data.get('id')}"
    if kind == "activity_task_scheduled":
        return f"{event.activity_task_scheduled_event_attributes.activity_type.name}, tried until done"
    if kind == "timer_started":
        return f"timer: {summary}"
    if kind in ("workflow_execution_completed", "workflow_execution_canceled", "workflow_execution_failed"):
        return kind.removeprefix(_ENDS)
    return None


async def replay(
    history: WorkflowHistory, kind: type = BookingWorkflow, converter: DataConverter | None = None
) -> None:
    """Raises when the present code would not take the steps that the history has.

    Recorded histories are plain, which the product's converter reads with whatever keys; others need their own.
    """
    converter = converter or data_converter(Settings())
    await Replayer(workflows=[kind], data_converter=converter).replay_workflow(history)


async def replays(handle: WorkflowHandle[Any, Any], ending: str, about: str) -> None:
    """The run so far replays on the code that made it."""
    history = await handle.fetch_history()
    converter = handle._client.data_converter
    await replay(history, converter=converter)
    if os.environ.get(_RECORD):
        _keep(opened(history, converter), ending, about)


def recorded() -> list[Path]:
    return sorted(FOLDER.glob("*/*.json"))


def load(path: Path) -> WorkflowHistory:
    record = json.loads(path.read_text(encoding="utf-8"))
    return WorkflowHistory.from_json(record["workflow_id"], record["history"])


def _keep(history: WorkflowHistory, ending: str, about: str) -> None:
    path = FOLDER / RELEASE / f"{ending}.json"
    if path.exists():
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    record = {
        "about": about,
        "release": RELEASE,
        "workflow_id": history.workflow_id,
        "history": _without_machine(json.loads(history.to_json())),
    }
    path.write_text(json.dumps(record, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def _without_machine(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_machine(each) for key, each in value.items() if key not in _NOT_KEPT}
    if isinstance(value, list):
        return [_without_machine(each) for each in value]
    return _WORKER_NAME.sub("a-worker", value) if isinstance(value, str) else value


def contents() -> str:
    """What tests/replay/histories/README.md ought to be: of each history how it ended and what is in it."""
    lines = [_INTRODUCTION]
    for release in sorted({path.parent.name for path in recorded()}):
        lines += [f"## {release}", "", "| history | what happened | ended | steps |", "| --- | --- | --- | --- |"]
        lines += [_row(path) for path in recorded() if path.parent.name == release]
        lines.append("")
    return "\n".join(lines)


def _row(path: Path) -> str:
    about = json.loads(path.read_text(encoding="utf-8"))["about"]
    *steps, last = commands(load(path))
    ended = last in ("completed", "canceled", "failed")
    shown = " · ".join(steps if ended else [*steps, last])
    return f"| `{path.stem}` | {about} | {last if ended else 'still running'} | {shown} |"
