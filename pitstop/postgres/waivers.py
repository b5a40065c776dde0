"""Waivers on PostgreSQL: documents, published once; signatures, only ever added."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal
from uuid import UUID

import asyncpg

from pitstop.domain.audit_log import Action, Entry
from pitstop.domain.caller import Caller, Role
from pitstop.domain.waiver import Language, Signing, WaiverDocument, WaiverSignature, WaiverStatus, document_hash
from pitstop.postgres import queries
from pitstop.postgres.audit_log import note
from pitstop.postgres.pool import Connection, Pool

_SQL, _BECOME = queries.load("waivers"), queries.load("audit_log")["become"]
_OWN = (Role.CUSTOMER, Role.LINK, Role.SERVICE)
IsolationLevel = Literal["read_committed", "repeatable_read"]


class TooEarly(Exception):
    """A version cannot come into force before one that was published earlier: that one might be signed already."""


@dataclass(frozen=True, slots=True)
class Typed:
    """What somebody signs with: the name typed, the version and language read, and where from."""

    name: str
    version: int
    language: Language
    address: str
    user_agent: str


@dataclass(frozen=True, slots=True)
class WaiverState:
    """What a booking needs, and what has been signed for it, in order. `language`: the booking's own, if it has one."""

    booking_id: UUID
    status: WaiverStatus
    is_signable: bool
    language: Language | None
    current_version: int | None
    signatures: tuple[WaiverSignature, ...]
    documents: tuple[WaiverDocument, ...]


class Waivers:
    """Reads, publishes and signs as the role `pitstop_api`. `kept_for`: how long evidence is kept after its signing."""

    def __init__(self, pool: Pool, kept_for: timedelta) -> None:
        self._pool = pool
        self._kept_for = kept_for

    async def current(self, language: Language, now: datetime) -> WaiverDocument | None:
        row = await self._pool.fetchrow(_SQL["current"], now, language)
        return _document(row) if row else None

    async def publish(
        self, caller: Caller, texts: Mapping[Language, str], in_force_from: datetime | None, now: datetime
    ) -> tuple[list[WaiverDocument], bool]:
        """The new version in all its languages; False: the newest one has these texts already. Raises `TooEarly`."""
        async with self._as(caller) as connection:
            await connection.execute(_SQL["one_publishes"])
            newest = [_document(row) for row in await connection.fetch(_SQL["newest"])]
            if {each.language: each.body for each in newest} == dict(texts):
                return newest, False
            begins = in_force_from or now
            if newest and begins < newest[0].in_force_from:
                raise TooEarly(newest[0].in_force_from.isoformat())
            version = newest[0].version + 1 if newest else 1
            await self._write(connection, caller, version, texts, begins)
            detail = {"version": version, "sha256": {each: document_hash(text).hex() for each, text in texts.items()}}
            await note(connection, caller, Entry(Action.PUBLISH_WAIVER, "waiver_document", str(version), detail=detail))
            return [_document(row) for row in await connection.fetch(_SQL["newest"])], True

    async def _write(
        self, connection: Connection, caller: Caller, version: int, texts: Mapping[Language, str], begins: datetime
    ) -> None:
        who = (caller.role, caller.subject)
        for language, text in texts.items():
            await connection.execute(_SQL["publish"], version, language, text, document_hash(text), begins, *who)

    async def sign(self, caller: Caller, booking_id: UUID, typed: Typed) -> Signing:
        """Signature, entry in the timeline and entry in the audit log, all or nothing."""
        what = (typed.version, typed.language, typed.name, typed.address, typed.user_agent)
        async with self._as(caller) as connection:
            outcome = Signing(await connection.fetchval(_SQL["sign"], booking_id, *what, self._kept_for))
            if outcome is Signing.SIGNED:
                await self._note_signing(connection, caller, booking_id, typed)
        return outcome

    async def _note_signing(self, connection: Connection, caller: Caller, booking_id: UUID, typed: Typed) -> None:
        """With a digest of the signature, which the log's seals cover: a row changed by force contradicts it."""
        row = await connection.fetchrow(_SQL["digest"], booking_id)
        signature = {"signature": str(row["id"]), "digest": row["digest"]} if row else {}
        detail = {"version": typed.version, "language": typed.language} | signature
        await note(connection, caller, Entry(Action.SIGN_WAIVER, "booking", str(booking_id), detail=detail))

    async def state(self, caller: Caller, booking_id: UUID, now: datetime) -> WaiverState | None:
        """None when there is no such booking that this caller may see. What others read is on record."""
        async with self._as(caller, "repeatable_read") as connection:
            row = await connection.fetchrow(_SQL["state"], booking_id, now)
            if row is None:
                return None
            signatures = await connection.fetch(_SQL["signatures"], booking_id)
            documents = await connection.fetch(_SQL["signed_documents"], booking_id)
            if caller.role not in _OWN:
                await note(connection, caller, Entry(Action.READ_WAIVER, "booking", str(booking_id)))
        return _state(row, [_signature(each) for each in signatures], [_document(each) for each in documents])

    @asynccontextmanager
    async def _as(self, caller: Caller, isolation: IsolationLevel = "read_committed") -> AsyncIterator[Connection]:
        async with self._pool.acquire() as connection, connection.transaction(isolation=isolation):
            await connection.execute(_BECOME, caller.role, caller.subject)
            yield connection


def _state(row: asyncpg.Record, signatures: list[WaiverSignature], documents: list[WaiverDocument]) -> WaiverState:
    languages = {each.value: each for each in Language}
    return WaiverState(
        booking_id=row["booking_id"],
        status=WaiverStatus(row["waiver_status"]),
        is_signable=row["waiver_status"] != WaiverStatus.NOT_REQUIRED and row["status"] in ("confirmed", "pending"),
        language=languages.get(row["language"] or ""),
        current_version=row["current_version"],
        signatures=tuple(signatures),
        documents=tuple(documents),
    )


def _document(row: asyncpg.Record) -> WaiverDocument:
    columns: dict[str, Any] = dict(row)
    return WaiverDocument(**columns | {"language": Language(row["language"])})


def _signature(row: asyncpg.Record) -> WaiverSignature:
    columns: dict[str, Any] = dict(row)
    return WaiverSignature(**columns | {"language": Language(row["language"])})
