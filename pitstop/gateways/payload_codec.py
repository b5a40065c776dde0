"""What the engine keeps is encrypted: payloads are sealed before they leave this process, opened when they come back.

AES-256-GCM (NIST SP 800-38D). A sealed payload holds the whole plain one, its metadata too, so that nobody who reads
the engine's database, its UI or its exports learns what type a thing has, nor what it says. Search attributes are not
payloads of this kind: they stay readable, and bear ids, a status and a time only.
"""

import dataclasses
import os
from collections.abc import Mapping, Sequence

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from temporalio.api.common.v1 import Payload
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.converter import DataConverter, DefaultFailureConverterWithEncodedAttributes, PayloadCodec

from pitstop.settings import Settings

ENCODING = b"binary/encrypted"
KEY_ID = "encryption-key-id"
# Bound to each ciphertext with the key's id: a payload of another form or under another key's name does not open.
_FORM = b"pitstop-payload/1:"
# 96 random bits (SP 800-38D, 8.2.2): one key is good for 2^32 payloads, which docs/privacy.md turns into a time.
_NONCE_BYTES = 12


class PayloadNotReadable(RuntimeError):
    """A payload is sealed with a key that this process lacks, or was changed since.

    It fails the task, which is tried again: once the key is there the run goes on.
    """


class EncryptingCodec(PayloadCodec):
    """Seals with the key `current`, opens with each of `keys` (32 bytes each, by id).

    What is not sealed passes through: runs that began before there was encryption go on, and their histories replay.
    """

    def __init__(self, keys: Mapping[str, bytes], current: str) -> None:
        self._keys = {key_id: AESGCM(key) for key_id, key in keys.items()}
        self._current = current
        self._metadata = {"encoding": ENCODING, KEY_ID: current.encode()}

    async def encode(self, payloads: Sequence[Payload]) -> list[Payload]:
        return [self.seal(payload) for payload in payloads]

    async def decode(self, payloads: Sequence[Payload]) -> list[Payload]:
        """Raises `PayloadNotReadable`."""
        return [self.open(payload) for payload in payloads]

    def seal(self, payload: Payload) -> Payload:
        nonce = os.urandom(_NONCE_BYTES)
        sealed = self._keys[self._current].encrypt(nonce, payload.SerializeToString(), _bound_to(self._current))
        return Payload(metadata=self._metadata, data=nonce + sealed)

    def open(self, payload: Payload) -> Payload:
        if payload.metadata.get("encoding") != ENCODING:
            return payload
        key_id = payload.metadata.get(KEY_ID, b"").decode(errors="replace")
        key = self._keys.get(key_id)
        if key is None:
            raise PayloadNotReadable(f"sealed with the key {key_id!a}, which PITSTOP_PAYLOAD_KEYS does not have")
        nonce, sealed = payload.data[:_NONCE_BYTES], payload.data[_NONCE_BYTES:]
        try:
            return Payload.FromString(key.decrypt(nonce, sealed, _bound_to(key_id)))
        except (InvalidTag, ValueError):
            raise PayloadNotReadable(
                f"does not open with the key {key_id!a}: it was changed, or is another key's"
            ) from None


def _bound_to(key_id: str) -> bytes:
    return _FORM + key_id.encode()


def payload_codec(settings: Settings) -> EncryptingCodec:
    return EncryptingCodec(settings.payload_key_bytes, settings.payload_key_id)


def data_converter(settings: Settings) -> DataConverter:
    """The one converter of every client, worker and replayer.

    Failures are sealed too: an error's text and stack may quote what it stumbled over.
    """
    return dataclasses.replace(
        pydantic_data_converter,
        payload_codec=payload_codec(settings),
        failure_converter_class=DefaultFailureConverterWithEncodedAttributes,
    )
