"""What the bench counts with: percentiles, ratios, CPU from /proc, workflow tasks of a history."""

import os
import subprocess
import sys
import time

import pytest
from temporalio.api.enums.v1 import EventType
from temporalio.api.history.v1 import HistoryEvent
from temporalio.client import WorkflowHistory

from bench.cpu import Meter, Usage, cpu_seconds
from bench.figures import Batch, latency_ratio, percentile
from bench.history import events, workflow_tasks

BURN = "import time\nwhile time.process_time() < 0.3: pass\n"
BURN_IN_CHILD = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {BURN!r}]); input()"


@pytest.mark.parametrize(("percent", "wanted"), [(0, 1), (50, 2.5), (100, 4)])
def test_percentiles_lie_between_ranks(percent: float, wanted: float) -> None:
    assert percentile([4, 1, 3, 2], percent) == pytest.approx(wanted)


def test_a_ratio_is_pooled_over_rounds_and_given_for_each() -> None:
    ours, theirs = [Batch([20.0], 1), Batch([60.0], 1)], [Batch([10.0], 1), Batch([10.0], 1)]
    ratio = latency_ratio(50, 8, ("ours", ours), ("theirs", theirs))
    assert ratio.ratio == pytest.approx(4)
    assert ratio.by_round == pytest.approx([2, 6])


def test_cpu_counts_children_that_have_ended() -> None:
    with subprocess.Popen([sys.executable, "-c", BURN_IN_CHILD], stdin=subprocess.PIPE) as process:
        try:
            _wait_until_read_from(process.pid)
            assert cpu_seconds(process.pid) >= 0.3
        finally:
            process.communicate(b"\n")
    with pytest.raises(ProcessLookupError):
        cpu_seconds(process.pid)


def test_idle_use_is_taken_off_by_the_second() -> None:
    busy, idle = Usage(10, {"api": 3.0}), Usage(5, {"api": 0.5})
    assert busy.without(idle).of_one(4) == pytest.approx({"api": 500})


def test_a_meter_sees_this_process() -> None:
    meter = Meter({"me": os.getpid()})
    usage = meter.since(meter.read())
    assert usage.used["me"] >= 0


def test_workflow_tasks_are_counted_when_handed_out() -> None:
    kinds = ("WORKFLOW_EXECUTION_STARTED", "WORKFLOW_TASK_STARTED", "WORKFLOW_TASK_TIMED_OUT", "WORKFLOW_TASK_STARTED")
    found = [HistoryEvent(event_type=EventType.Value(f"EVENT_TYPE_{kind}")) for kind in kinds]
    history = WorkflowHistory("booking", found)
    assert workflow_tasks(history) == 2
    assert events(history).total() == 4


def _wait_until_read_from(pid: int) -> None:
    """Until the burning child is collected: the process then waits for input and has no child left."""
    for _ in range(500):
        with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as children:
            state = children.read()
        if cpu_seconds(pid) >= 0.3 and not state.strip():
            return
        time.sleep(0.02)
    raise TimeoutError
