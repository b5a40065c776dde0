"""What is on offer: kinds of session, services and the plans that price them."""

from enum import StrEnum


class SessionKind(StrEnum):
    """How customer and mechanic meet."""

    VIDEO = "video"
    CHAT = "chat"
    DIAGNOSTIC = "diagnostic"
    IN_PERSON = "in_person"
