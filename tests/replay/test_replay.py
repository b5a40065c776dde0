"""Recorded histories of every released version replay on the present code. One is never recorded again to pass."""

import json
from pathlib import Path

import pytest
from temporalio import workflow
from temporalio.workflow import NondeterminismError

from pitstop.contracts import names
from pitstop.contracts.booking import BookingEnding, BookingOrder, HoldAnswer
from tests.support.histories import FOLDER, load, recorded, replay

ENDINGS = {
    "completed",
    "declined_then_paid",
    "expired",
    "payment_failed",
    "retaken_after_lapse",
    "refunded_after_lapse",
    "called_off_unpaid",
    "called_off_confirmed",
    "called_off_while_mailing_0",
    "called_off_while_mailing_1",
    "slot_lost",
    "payment_unavailable",
    "taken_up_again",
}


@workflow.defn(name=names.BOOKING_WORKFLOW)
class _ForgetfulBooking:
    """A booking that takes none of its steps."""

    @workflow.run
    async def run(self, order: BookingOrder) -> BookingEnding:
        return BookingEnding(status=None)

    @workflow.update(name=names.HOLD_UPDATE)
    async def hold(self, fingerprint: str) -> HoldAnswer:
        return HoldAnswer()


def test_every_ending_of_every_release_is_recorded() -> None:
    for release in FOLDER.iterdir():
        assert {path.stem for path in release.glob("*.json")} == ENDINGS, release.name


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
