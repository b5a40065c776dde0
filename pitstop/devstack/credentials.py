"""The secrets of one data folder: random, made once, kept there for its owner alone."""

import base64
import secrets
from pathlib import Path
from typing import Self

from pydantic import BaseModel, ConfigDict, Field

from pitstop.devstack.stackfile import write_private

NAME = "secrets.json"


def _random() -> str:
    return secrets.token_hex(24)


class Credentials(BaseModel):
    """Passwords of the database's roles and the secrets that the parts share. Safe to quote anywhere."""

    model_config = ConfigDict(frozen=True)

    postgres_password: str = Field(default_factory=_random)
    api_password: str = Field(default_factory=_random)
    worker_password: str = Field(default_factory=_random)
    audit_password: str = Field(default_factory=_random)
    stripe_secret_key: str = Field(default_factory=lambda: f"sk_test_{_random()}")
    stripe_publishable_key: str = Field(default_factory=lambda: f"pk_test_{_random()}")
    stripe_webhook_secret: str = Field(default_factory=lambda: f"whsec_{_random()}")
    twilio_account_sid: str = Field(default_factory=lambda: f"AC{secrets.token_hex(16)}")
    twilio_auth_token: str = Field(default_factory=_random)
    manage_link_secret: str = Field(default_factory=_random)
    payload_key: str = Field(default_factory=lambda: base64.b64encode(secrets.token_bytes(32)).decode())

    @classmethod
    def of(cls, folder: Path) -> Self:
        """The folder's secrets; made and kept there at the first call, as is one that an older folder lacks."""
        path = folder / NAME
        kept = path.read_text() if path.exists() else "{}"
        whole = cls.model_validate_json(kept)
        written = whole.model_dump_json(indent=2) + "\n"
        if written != kept:
            write_private(path, written)
        return whole
