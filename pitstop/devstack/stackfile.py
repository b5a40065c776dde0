"""`stack.json`: how to reach a running stack. It exists while the stack is ready, and then only (but for `kill -9`)."""

import os
from pathlib import Path
from typing import Self

from pydantic import BaseModel

NAME = "stack.json"


class Tokens(BaseModel):
    """An access token for each role; the dev stack's issuer has signed them for 30 days."""

    customer: str
    other_customer: str
    mechanic: str
    operator: str
    service: str


class Stack(BaseModel):
    """Addresses, secrets, process ids and tokens of a running stack. `environment` is what its worker and API got."""

    api_url: str
    temporal_address: str
    temporal_namespace: str
    temporal_ui_url: str
    database_url: str
    api_database_url: str
    worker_database_url: str
    stripe_api_url: str
    stripe_secret_key: str
    stripe_publishable_key: str
    stripe_webhook_secret: str
    twilio_api_url: str
    twilio_account_sid: str
    twilio_auth_token: str
    twilio_number: str
    mail_url: str
    smtp_port: int
    issuer_url: str
    jwks_url: str
    worker_metrics_url: str
    pids: dict[str, int]
    tokens: Tokens
    environment: dict[str, str]

    @classmethod
    def load(cls, folder: Path) -> Self:
        """The stack of this data folder. FileNotFoundError when none is ready there."""
        return cls.model_validate_json((folder / NAME).read_bytes())

    def save(self, folder: Path) -> None:
        write_private(folder / NAME, self.model_dump_json(indent=2) + "\n")


def write_private(path: Path, content: str) -> None:
    """Replaces a file in one step: a reader sees the old content or the new. Only the owner may read it."""
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        file.write(content)
    draft.replace(path)
