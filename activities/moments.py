"""The time of an effect that may come long after the workflow asked for it."""

from datetime import UTC, datetime


def not_before(asked: datetime) -> datetime:
    """Now; but never before the workflow's own moment, which runs ahead where its time is skipped."""
    return max(asked, datetime.now(UTC))
