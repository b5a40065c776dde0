"""What the audit's schedule, workflow and activity say to each other. What was found is in the database."""

from pitstop.contracts.booking import Payload


class AuditOrder(Payload):
    """`everything`: every booking; otherwise what has changed since the last pass, and what is open."""

    everything: bool = False


class AuditReport(Payload):
    """`discrepancies` by code. `under_way`: bookings that looked wrong while they moved, left to the next pass."""

    bookings: int
    discrepancies: dict[str, int]
    under_way: int
