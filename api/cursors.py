"""Cursors of paged lists: opaque to clients, an instant and an id to us."""

import base64
import binascii
from datetime import UTC, datetime
from uuid import UUID

from api.problems import invalid_field


def encode(at: datetime, last: UUID) -> str:
    return base64.urlsafe_b64encode(f"{at.isoformat()}|{last}".encode()).decode().rstrip("=")


def decode(cursor: str | None) -> tuple[datetime, UUID] | None:
    """Raises the problem `invalid_request` for a cursor that did not come from here."""
    if cursor is None:
        return None
    try:
        at, last = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).decode().split("|")
        moment = datetime.fromisoformat(at)
        if moment.tzinfo is None:
            raise ValueError("naive")
        return moment.astimezone(UTC), UUID(last)
    except (ValueError, OverflowError, binascii.Error) as error:
        raise invalid_field("query.cursor", "must be a next_cursor of this list") from error
