"""Waivers as clients send and get them, and the outcomes that are problems."""

import unicodedata
from datetime import UTC, datetime
from typing import Annotated
from uuid import UUID

from fastapi import Request
from pydantic import AfterValidator, BaseModel, Field, StringConstraints

from api.addresses import Address
from api.fields import Instant, Name
from api.problems import FieldError, Problem, not_found
from api.schemas import Sent
from pitstop.domain.waiver import Language, Signing, WaiverDocument, WaiverStatus
from pitstop.postgres.waivers import Typed, WaiverState

_LONGEST_AGENT = 500
_LAST_INT = 2**31 - 1
NOT_ACCEPTED = "must be true: a waiver that is not accepted is not signed"


def _accepted(value: bool) -> bool:
    if not value:
        raise ValueError(NOT_ACCEPTED)
    return value


def _with_letters(name: str) -> str:
    if not any(unicodedata.category(character).startswith("L") for character in name):
        raise ValueError("must be a name: it has no letter")
    return name


def _text(text: str) -> str:
    """Plain text with Unix line ends and no blanks around; NUL and other control characters have no place in it."""
    lines = text.replace("\r\n", "\n").strip()
    if any(unicodedata.category(character) in ("Cc", "Cs") and character != "\n" for character in lines):
        raise ValueError("must not contain control characters; write plain text, an empty line between paragraphs")
    if not lines:
        raise ValueError("must not be empty")
    return lines


SignedName = Annotated[Name, AfterValidator(_with_letters)]
DocumentText = Annotated[
    str,
    StringConstraints(min_length=1, max_length=20_000),
    AfterValidator(_text),
    Field(
        description="Plain text. An empty line ends a paragraph; the first is the title.", examples=["Waiver\n\nI …"]
    ),
]


class WaiverIn(Sent):
    signed_name: SignedName = Field(description="The name, as the signer has typed it.")
    document_version: int = Field(
        ge=1, le=_LAST_INT, strict=True, description="The version that was read.", examples=[1]
    )
    accepted: Annotated[bool, Field(strict=True), AfterValidator(_accepted)] = Field(examples=[True])
    language: Language | None = Field(
        default=None, description="In which it was read. Left out: the booking's, else English.", examples=["en"]
    )


class Signature(BaseModel):
    id: UUID
    document_version: int
    language: Language
    sha256: str = Field(description="SHA-256 of the text that was signed (UTF-8), in hexadecimal.")
    signed_name: str = Field(description="Empty once it has been erased.")
    accepted_at: datetime


class WaiverOut(BaseModel):
    booking_id: UUID
    waiver_status: WaiverStatus
    current_version: int | None
    signatures: list[Signature] = Field(description="All of them, in order: signing again takes none away.")


class TextsIn(Sent):
    en: DocumentText
    fr: DocumentText


class DocumentsIn(Sent):
    texts: TextsIn
    in_force_from: Instant | None = Field(default=None, description="Left out: at once.")


class Document(BaseModel):
    version: int
    language: Language
    text: str
    sha256: str
    in_force_from: datetime


class Published(BaseModel):
    version: int
    in_force_from: datetime
    documents: list[Document]


def document(of: WaiverDocument) -> Document:
    return Document(
        version=of.version,
        language=of.language,
        text=of.body,
        sha256=of.sha256.hex(),
        in_force_from=of.in_force_from.astimezone(UTC),
    )


def stated(state: WaiverState) -> WaiverOut:
    return WaiverOut(
        booking_id=state.booking_id,
        waiver_status=state.status,
        current_version=state.current_version,
        signatures=[
            Signature(
                id=each.id,
                document_version=each.version,
                language=each.language,
                sha256=each.sha256.hex(),
                signed_name=each.signed_name,
                accepted_at=each.accepted_at,
            )
            for each in state.signatures
        ],
    )


def typed(request: Request, address: Address, name: str, version: int, language: Language) -> Typed:
    """What is signed with. The agent is whatever the client calls itself, without what is no text, and cut off."""
    said = request.headers.get("user-agent", "")
    agent = "".join(c if unicodedata.category(c) not in ("Cc", "Cs", "Zl", "Zp") else " " for c in said)
    return Typed(name, version, language, str(address), agent[:_LONGEST_AGENT])


def refusal(outcome: Signing, current: int | None) -> Problem:
    """The problem that an attempt to sign has met."""
    if outcome is Signing.OUTDATED:
        detail = f"Version {current} is in force. Read it, and sign again with document_version {current}."
        error = FieldError(field="body.document_version", message=f"is {current} now")
        return Problem(409, "waiver_outdated", "There is a newer document", detail, [error])
    if outcome is Signing.NOT_REQUIRED:
        detail = "A session of this kind needs no waiver: there is nothing to sign."
        return Problem(409, "waiver_not_required", "Nothing to sign", detail)
    if outcome is Signing.NOT_SIGNABLE:
        detail = "A waiver is signed once the booking is paid, and before its session starts."
        return Problem(409, "not_signable", "Not now", detail)
    return not_found()
