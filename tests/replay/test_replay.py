"""Recorded histories of every released version replay on the present code. One is never recorded again to pass."""

import json
from pathlib import Path

import pytest
from temporalio import workflow
from temporalio.workflow import NondeterminismError

from pitstop.contracts import names
from pitstop.contracts.booking import BookingEnding, BookingOrder, HoldAnswer
from tests.support.histories import load, recorded, replay


@workflow.defn(name=names.BOOKING_WORKFLOW)
class _ForgetfulBooking:
    """A booking that takes none of its steps."""

    @workflow.run
    async def run(self, order: BookingOrder) -> BookingEnding:
        return BookingEnding(status=None)

    @workflow.update(name=names.HOLD_UPDATE)
    async def hold(self, fingerprint: str) -> HoldAnswer:
        return HoldAnswer()


@pytest.mark.parametrize("path", recorded(), ids=lambda path: f"{path.parent.name}/{path.stem}")
async def test_replays(path: Path) -> None:
    await replay(load(path))


@pytest.mark.parametrize("path", recorded(), ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_says_what_it_contains(path: Path) -> None:
    record = json.loads(path.read_text(encoding="utf-8"))
    assert record["about"]
    assert record["release"] == path.parent.name


async def test_a_changed_workflow_does_not_replay() -> None:
    """A control: the test above can fail."""
    with pytest.raises(NondeterminismError):
        await replay(load(recorded()[0]), _ForgetfulBooking)
