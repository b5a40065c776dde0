"""What text messages and their provider's news are about: references, delivery statuses, replies that opt out."""

import re
import unicodedata
from dataclasses import dataclass
from enum import StrEnum

_REFERENCE = re.compile(r"([0-9a-f-]{36}(?:\.[a-z0-9_-]+){1,4})\.([1-9][0-9]{0,5})", re.ASCII)
# What Twilio and the carriers heed, and what people write in French: without accents, signs and blanks.
_STOP = frozenset(
    "STOP STOPALL UNSUBSCRIBE CANCEL END QUIT REVOKE OPTOUT REMOVE"
    " ARRET ARRETE ARRETER ARRETEZ ARRETT DESABONNER DESABONNEMENT DESABONNEZ DESINSCRIRE".split()
)
_START = frozenset({"START", "YES", "UNSTOP"})


class DeliveryStatus(StrEnum):
    """What Twilio says of a message that it has accepted. Which follows which is `delivery_rank` in the database."""

    ACCEPTED = "accepted"
    SCHEDULED = "scheduled"
    QUEUED = "queued"
    SENDING = "sending"
    SENT = "sent"
    DELIVERED = "delivered"
    UNDELIVERED = "undelivered"
    FAILED = "failed"
    CANCELED = "canceled"
    READ = "read"


class Wish(StrEnum):
    """What somebody asks for by a reply."""

    STOP = "stop"
    START = "start"


@dataclass(frozen=True, slots=True)
class Delivery:
    """News of one sending of a notice. `code` is Twilio's error, where it was not delivered."""

    key: str
    sending: int
    message_sid: str
    status: DeliveryStatus
    code: int | None = None


def reference(key: str, sending: int) -> str:
    """Names one sending of a notice, in letters that no part of the way writes in two manners: Twilio signs URLs."""
    return f"{key.replace('/', '.')}.{sending}"


def referred_to(text: str) -> tuple[str, int] | None:
    """The notice's key and its sending; None for what is no reference."""
    found = _REFERENCE.fullmatch(text)
    return (found[1].replace(".", "/"), int(found[2])) if found else None


def wish(body: str) -> Wish | None:
    """Whether a reply is one of the words that turn text messages off or on: alone, whatever their case and accents."""
    word = "".join(letter for letter in unicodedata.normalize("NFKD", body.upper()) if letter.isalnum())
    if word in _STOP:
        return Wish.STOP
    return Wish.START if word in _START else None
