"""An API that ends itself with SIGKILL at one point of a booking or of a webhook, such as CRASH_AT=desk.open:after.

`after`: the step has had its effect, and nobody has been told. Run it as uvicorn runs `api.app`.
"""

import os
import signal
from typing import Any

from api.app import app as app
from pitstop.gateways.temporal_engine import TemporalEngine
from pitstop.postgres.desk import BookingDesk
from pitstop.postgres.inbox import PostgresInbox

_STEPS: dict[str, tuple[type, str]] = {
    "desk.open": (BookingDesk, "open"),
    "engine.hold": (TemporalEngine, "hold"),
    "desk.booking": (BookingDesk, "booking"),
    "inbox.store": (PostgresInbox, "store"),
    "engine.signal_payment": (TemporalEngine, "signal_payment"),
    "inbox.mark_applied": (PostgresInbox, "mark_applied"),
}


def _arm(point: str) -> None:
    step, _, when = point.partition(":")
    owner, method = _STEPS[step]
    original = getattr(owner, method)

    async def deadly(self: Any, *arguments: Any, **options: Any) -> Any:
        if when == "before":
            os.kill(os.getpid(), signal.SIGKILL)
        await original(self, *arguments, **options)
        os.kill(os.getpid(), signal.SIGKILL)

    setattr(owner, method, deadly)


if point := os.environ.get("CRASH_AT"):
    _arm(point)
