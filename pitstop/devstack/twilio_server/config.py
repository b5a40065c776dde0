"""What a run of the server is told on its command line."""

from dataclasses import dataclass
from pathlib import Path

API_VERSION = "2010-04-01"


@dataclass(frozen=True, slots=True)
class Config:
    """`number` is the account's own. Replies go to `inbound_url`. Spans in seconds.

    `step` is the time from one status of a message to the next, `retry` that from one try of a callback to the next;
    `tries` is how often it is tried in all (Twilio itself tries twice, unless it is told otherwise).
    """

    data: Path
    account_sid: str
    auth_token: str
    number: str
    inbound_url: str
    step: float = 0.3
    retry: float = 0.5
    tries: int = 5
    callback_timeout: float = 10.0
