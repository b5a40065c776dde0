"""Who is asking."""

from dataclasses import dataclass
from enum import StrEnum


class Role(StrEnum):
    """The roles of a token, and `link`: the bearer of a signed manage link, who has no account."""

    CUSTOMER = "customer"
    MECHANIC = "mechanic"
    OPERATOR = "operator"
    SERVICE = "service"
    LINK = "link"


@dataclass(frozen=True, slots=True)
class Caller:
    """`subject` is the token's `sub`, or the booking's id for a manage link. The database's policies go by both."""

    role: Role
    subject: str
