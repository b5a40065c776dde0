"""What the audit can find: each kind with the invariant that it breaks, what it means and what to do about it."""

from dataclasses import dataclass
from enum import StrEnum
from uuid import UUID


class Remedy(StrEnum):
    """What `--repair` does, through the workflows; it writes to no table itself.

    `revive`: starts the booking's workflow again, which goes on from where the booking stands.
    `signal`: tells the workflow of the payment that Stripe has, and starts it again if it does not run.
    `sweep`: starts the backstop now.
    """

    REVIVE = "revive"
    SIGNAL = "signal"
    SWEEP = "sweep"


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of discrepancy. Its code never changes: programs go by it. `to_do` is for the operator."""

    code: str
    invariant: str
    means: str
    to_do: str
    remedy: Remedy | None = None

    def found(self, booking_id: UUID | None, what: str, subject: str = "", *, repairable: bool = True) -> "Finding":
        """`subject` tells findings of one kind at one booking apart."""
        return Finding(self, booking_id, what, subject, self.remedy if repairable else None)


@dataclass(frozen=True, slots=True)
class Finding:
    """One discrepancy. `remedy` is None where a person has to decide."""

    kind: Kind
    booking_id: UUID | None
    found: str
    subject: str = ""
    remedy: Remedy | None = None

    @property
    def key(self) -> tuple[str, UUID | None, str]:
        """The same discrepancy, found again, has the same key."""
        return self.kind.code, self.booking_id, self.subject
