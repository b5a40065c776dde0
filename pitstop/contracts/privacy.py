"""What travels between API, workflows and activities about erasure and the audit log: ids, instants and digests."""

from datetime import datetime
from uuid import UUID

from pitstop.contracts.booking import Payload


class ErasureOrder(Payload):
    """Whose personal data goes, and who has asked for it, as the audit log will say."""

    customer_id: UUID
    actor_role: str
    actor: str
    address: str | None
    request_id: str | None


class EraseRecords(Payload):
    order: ErasureOrder
    now: datetime


class EraseAtStripe(Payload):
    customer_id: UUID
    now: datetime


class SealOrder(Payload):
    """`most`: how many entries one seal covers, roughly."""

    most: int


class Seal(Payload):
    """The newest seal over the audit log. Kept by the engine, too: who changes the database does not change this."""

    id: int
    entries: int
    digest: str
