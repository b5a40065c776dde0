"""Moves a booking's own clock: each workflow has one, on the real server (time skipping of server 1.32)."""

from datetime import datetime, timedelta
from typing import Any

from temporalio.client import Client, WorkflowHandle
from temporalio.testing import TimeSkipper, TimeSkippingConfig


class Clock:
    """PostgreSQL's clock stays where it is: what the saga writes takes its time from the workflow."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._skipper = TimeSkipper(client, config=TimeSkippingConfig(enabled=False))

    def workflow(self, booking: dict[str, Any]) -> WorkflowHandle[Any, Any]:
        return self._client.get_workflow_handle(f"booking/{booking['id']}")

    async def forward(self, booking: dict[str, Any], span: timedelta) -> None:
        """The booking's workflow lives through `span` at once."""
        await self._skipper.fast_forward(self.workflow(booking), span)

    async def forward_to(self, booking: dict[str, Any], moment: datetime) -> None:
        await self.forward(booking, moment - await self._skipper.get_current_time(self.workflow(booking)))

    async def to_the_end(self, booking: dict[str, Any]) -> Any:
        """Lives through all that is left, and brings back the workflow's result."""
        await self._skipper.fast_forward(self.workflow(booking), None)
        return await self.workflow(booking).result()
