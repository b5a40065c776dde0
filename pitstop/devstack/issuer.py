"""A token issuer for the machine at hand: ES256 access tokens, its public keys as a JWKS, and key rotation.

It gives a token to whoever asks, for any subject and role. It stands for a company's identity provider and belongs
nowhere near production, where `PITSTOP_JWKS_URL` names the real one.
"""

import time
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import jwt
import typer
import uvicorn
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from fastapi import FastAPI, HTTPException
from jwt.algorithms import ECAlgorithm
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from pitstop.devstack.addresses import HOST, KEEP_ALIVE_SECONDS
from pitstop.devstack.stackfile import write_private
from pitstop.settings import Settings

LONGEST_SECONDS = 366 * 86_400


class TokenRequest(BaseModel):
    """What to put into a token. `ttl_seconds` may be negative, for a token that has run out already."""

    model_config = ConfigDict(extra="forbid")

    sub: str = Field(min_length=1, max_length=200)
    role: Literal["customer", "mechanic", "operator", "service"]
    ttl_seconds: int = Field(default=3600, ge=-LONGEST_SECONDS, le=LONGEST_SECONDS)


class SigningKey(BaseModel):
    """A private key as kept on disk (PEM) and the name under which its public half is published."""

    kid: str
    private_pem: str

    @classmethod
    def generate(cls, kid: str) -> Self:
        pem = ec.generate_private_key(ec.SECP256R1()).private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        return cls(kid=kid, private_pem=pem.decode())

    def published(self) -> dict[str, Any]:
        key = serialization.load_pem_private_key(self.private_pem.encode(), None)
        if not isinstance(key, ec.EllipticCurvePrivateKey):
            raise TypeError(f"signing key {self.kid} is not an elliptic curve key")
        public = ECAlgorithm.to_jwk(key.public_key(), as_dict=True)
        return public | {"kid": self.kid, "use": "sig", "alg": "ES256"}


KEYS = TypeAdapter(list[SigningKey])


class Keyring:
    """The published keys, oldest first; the newest signs. An old one stays good until it is withdrawn."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / "keys.json"
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._keys = KEYS.validate_json(self._path.read_bytes()) if self._path.exists() else []
        if not self._keys:
            self.rotate()

    def rotate(self) -> str:
        """Adds a key that signs from now on; returns its id."""
        key = SigningKey.generate(f"dev-{len(self._keys) + 1}-{time.time_ns()}")
        self._keys.append(key)
        self._keep()
        return key.kid

    def _keep(self) -> None:
        write_private(self._path, KEYS.dump_json(self._keys, indent=2).decode())

    def withdraw(self, kid: str) -> bool:
        """Publishes the key no longer. False when there is no such key, or when it is the one that signs."""
        left = [key for key in self._keys if key.kid != kid]
        if len(left) == len(self._keys) or left[-1:] != self._keys[-1:]:
            return False
        self._keys = left
        self._keep()
        return True

    def sign(self, claims: dict[str, Any]) -> str:
        key = self._keys[-1]
        return jwt.encode(claims, key.private_pem, algorithm="ES256", headers={"kid": key.kid})

    def published(self) -> dict[str, Any]:
        return {"keys": [key.published() for key in self._keys]}


def application(keyring: Keyring, issuer: str, audience: str) -> FastAPI:
    app = FastAPI(title="Pitstop dev stack: token issuer")

    @app.get("/health")
    async def health() -> dict[str, str]:
        return {"status": "ok"}

    @app.get("/.well-known/jwks.json")
    async def jwks() -> dict[str, Any]:
        return keyring.published()

    @app.post("/token")
    async def token(wish: TokenRequest) -> dict[str, Any]:
        now = int(time.time())
        claims = {"iss": issuer, "aud": audience, "sub": wish.sub, "role": wish.role, "iat": now}
        signed = keyring.sign(claims | {"exp": now + wish.ttl_seconds})
        return {"access_token": signed, "token_type": "Bearer", "expires_in": wish.ttl_seconds}

    @app.post("/rotate")
    async def rotate() -> dict[str, str]:
        return {"kid": keyring.rotate()}

    @app.delete("/keys/{kid}", status_code=204)
    async def withdraw(kid: str) -> None:
        if not keyring.withdraw(kid):
            raise HTTPException(404, "no such key, or the one that signs: rotate first")

    return app


def main(
    port: Annotated[int, typer.Option(help="Port on 127.0.0.1.")],
    data: Annotated[Path, typer.Option(help="Folder that keeps the keys.")],
) -> None:
    """Serves tokens with the issuer and audience that Pitstop's settings name."""
    settings = Settings()
    app = application(Keyring(data), settings.jwt_issuer, settings.jwt_audience)
    uvicorn.run(app, host=HOST, port=port, log_level="warning", access_log=False, timeout_keep_alive=KEEP_ALIVE_SECONDS)


if __name__ == "__main__":
    typer.run(main)
