"""What a workflow's history costs: how many workflow tasks and events it has."""

from collections import Counter

from temporalio.api.enums.v1 import EventType
from temporalio.client import WorkflowHistory

_PREFIX = "EVENT_TYPE_"


def events(history: WorkflowHistory) -> Counter[str]:
    """The number of events by type, such as `TIMER_STARTED`; `.total()` is the length of the history."""
    return Counter(EventType.Name(event.event_type).removeprefix(_PREFIX) for event in history.events)


def workflow_tasks(history: WorkflowHistory) -> int:
    """How often a worker was handed the workflow; failed and timed out tasks count too."""
    return events(history)["WORKFLOW_TASK_STARTED"]
