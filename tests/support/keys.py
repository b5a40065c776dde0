"""An issuer of a test's own: it publishes what it is told to, or nothing."""

import asyncio
import json
from dataclasses import dataclass, field
from typing import Any

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from jwt.algorithms import ECAlgorithm


@dataclass
class Keys:
    """An issuer in this process: its published keys, served at `url`, and whether it answers at all.

    `hanging`: it takes a question and says nothing until the event. `changes` are to the JWK of a key, by its id.
    """

    url: str = ""
    private: dict[str, ec.EllipticCurvePrivateKey] = field(default_factory=dict)
    away: bool = False
    hanging: asyncio.Event | None = None
    nonsense: bytes | None = None
    changes: dict[str, dict[str, Any]] = field(default_factory=dict)
    fetches: int = 0

    def add(self, kid: str) -> str:
        self.private[kid] = ec.generate_private_key(ec.SECP256R1())
        return kid

    def pem(self, kid: str) -> bytes:
        kind, format = serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        return self.private[kid].public_key().public_bytes(kind, format)

    def document(self) -> bytes:
        keys = [
            ECAlgorithm.to_jwk(key.public_key(), as_dict=True)
            | {"kid": kid, "alg": "ES256"}
            | self.changes.get(kid, {})
            for kid, key in self.private.items()
        ]
        return json.dumps({"keys": keys}).encode()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        self.fetches += 1
        if self.hanging:
            await self.hanging.wait()
        body = b"" if self.away else self.nonsense or self.document()
        status = b"503 Away" if self.away else b"200 OK"
        writer.write(b"HTTP/1.1 %b\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%b" % (status, len(body), body))
        await writer.drain()
        writer.close()
