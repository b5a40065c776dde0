"""What a run of the server is told on its command line."""

from dataclasses import dataclass
from pathlib import Path

API_VERSION = "2026-10-28.endive"


@dataclass(frozen=True, slots=True)
class Retries:
    """When an undelivered webhook is sent again, in seconds: the delay starts at `first`, doubles, and stops growing at
    `longest`. One that was never accepted is given up after `give_up_after`."""

    first: float
    longest: float
    give_up_after: float

    def delay(self, failures: int) -> float:
        """The pause after so many failed tries (1 or more)."""
        return min(self.longest, self.first * 2.0 ** min(failures - 1, 40))


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where webhooks go, the secret that signs them, and the types of event that it wants; none named: all of them."""

    url: str
    secret: str
    enabled_events: frozenset[str] = frozenset()

    def wants(self, event_type: str) -> bool:
        return not self.enabled_events or event_type in self.enabled_events


@dataclass(frozen=True, slots=True)
class Config:
    """`default_endpoint` receives each event that no endpoint of the control interface claims. Timeouts in seconds."""

    data: Path
    secret_key: str
    publishable_key: str
    default_endpoint: Endpoint
    retries: Retries
    webhook_timeout: float
