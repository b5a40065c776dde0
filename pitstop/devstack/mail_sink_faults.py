"""Faults that a test orders from the mail sink: the next mails to an address are refused or left unanswered."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

FaultKind = Literal["reject_4xx", "reject_5xx", "accept_then_drop_connection"]


class Fault(BaseModel):
    """An order. `reject_4xx` and `reject_5xx` answer RCPT with 451 and 550.

    `accept_then_drop_connection` keeps the mail and closes the connection in place of the 250: the sender cannot know
    that the mail has arrived.
    """

    model_config = ConfigDict(extra="forbid")

    kind: FaultKind
    to: str | None = Field(
        default=None, description="Only for this address, in any case of letters; null: for every one."
    )
    times: int = Field(default=1, ge=1, description="How many more deliveries it befalls.")


class Faults:
    """The orders not yet used up, oldest first."""

    def __init__(self) -> None:
        self._pending: list[Fault] = []

    def order(self, fault: Fault) -> None:
        self._pending.append(fault)

    def clear(self) -> None:
        self._pending.clear()

    def pending(self) -> list[Fault]:
        return list(self._pending)

    def take(self, recipient: str, kinds: frozenset[FaultKind]) -> FaultKind | None:
        """The oldest order of one of these kinds that befalls the recipient; it counts as carried out once."""
        for fault in self._pending:
            if fault.kind in kinds and (fault.to is None or fault.to.lower() == recipient.lower()):
                fault.times -= 1
                self._pending = [f for f in self._pending if f.times > 0]
                return fault.kind
        return None
