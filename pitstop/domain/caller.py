"""Who is asking."""

from dataclasses import dataclass, field
from enum import StrEnum


class Role(StrEnum):
    """The roles of a token, and three of our own.

    `link` is the bearer of a signed manage link, who has no account; `feed` the bearer of the address of a mechanic's
    calendar; `nobody` somebody without a valid token.
    """

    CUSTOMER = "customer"
    MECHANIC = "mechanic"
    OPERATOR = "operator"
    SERVICE = "service"
    LINK = "link"
    FEED = "feed"
    NOBODY = "nobody"


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a request came from, for the audit log: a keyed digest of the address, and the request's id."""

    address: str | None = None
    request_id: str | None = None


@dataclass(frozen=True, slots=True)
class Caller:
    """`subject` is the token's `sub`, or the id of the link's booking or of the feed. The database goes by both."""

    role: Role
    subject: str
    origin: Origin = field(default=Origin(), compare=False)


NOBODY = Caller(Role.NOBODY, "")
