"""What proves a waiver, as a PDF: for a court, an insurer, or whoever signed. The same evidence is the same bytes."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

from fpdf import FPDF
from fpdf.enums import XPos, YPos

from pitstop.domain.waiver import WaiverDocument, WaiverEvidence, WaiverSignature
from pitstop.gateways.pdf_fonts import Fonts
from pitstop.gateways.wording import one_line, session_time, shown_zone, tidied

_LABEL_WIDTH, _LINE = 45, 5.5
_ATTACHED = "evidence.json"
_MEANS = {
    "customer": "the customer, signed in",
    "link": "the bearer of the booking's manage link",
    "service": "the customer, passed on by the back end named beside it; address and agent are the back end's",
}
_ERASED = "(erased)"


@dataclass(frozen=True, slots=True)
class _Row:
    label: str
    text: str


def evidence_pdf(evidence: WaiverEvidence) -> bytes:
    """Needs one signature at least. Characters that no font has are written as their code point (U+1F600)."""
    last = max(each.accepted_at for each in evidence.signatures)
    fonts = Fonts.for_texts(_all_texts(evidence))
    pdf = _new(fonts, evidence, last)
    _heading(pdf, fonts, "Waiver: evidence of signature", 16)
    _rows(pdf, fonts, list(_booking(evidence)))
    for number, signature in enumerate(evidence.signatures, 1):
        _heading(pdf, fonts, f"Signature {number} of {len(evidence.signatures)}", 13)
        _rows(pdf, fonts, list(_signature(evidence, signature)))
    for document in evidence.documents:
        _document(pdf, fonts, document)
    attached = json.dumps(as_json(evidence), ensure_ascii=False, indent=1, sort_keys=True).encode()
    pdf.embed_file(
        basename=_ATTACHED, bytes=attached, mime_type="application/json", creation_date=last, modification_date=last
    )
    return bytes(pdf.output())


def as_json(evidence: WaiverEvidence) -> dict[str, Any]:
    """The evidence for programs: exactly what is on record, in UTF-8, whatever fonts can show."""
    facts = evidence.facts
    return {
        "booking": {
            "id": str(facts.booking_id),
            "customer": facts.customer_name,
            "kind": facts.kind,
            "service": facts.service_name,
            "mechanic": facts.mechanic_name,
            "start": _utc(facts.start),
            "end": _utc(facts.end),
            "place": facts.venue_address,
        },
        "signatures": [_signature_json(evidence, each) for each in evidence.signatures],
        "documents": [
            {"version": each.version, "language": each.language, "sha256": each.sha256.hex(), "text": each.body}
            for each in evidence.documents
        ],
    }


def _signature_json(evidence: WaiverEvidence, signature: WaiverSignature) -> dict[str, Any]:
    return {
        "id": str(signature.id),
        "signed_name": signature.signed_name,
        "accepted_at": _utc(signature.accepted_at),
        "version": signature.version,
        "language": signature.language,
        "sha256": signature.sha256.hex(),
        "fits_document": evidence.fits(signature),
        "address": signature.address,
        "user_agent": signature.user_agent,
        "signer_role": signature.signer_role,
        "signer": signature.signer,
        "erased_at": _utc(signature.erased_at) if signature.erased_at else None,
    }


def _utc(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def _booking(evidence: WaiverEvidence) -> Iterator[_Row]:
    facts = tidied(evidence.facts)
    yield _Row("Booking", str(facts.booking_id))
    yield _Row("Customer", facts.customer_name or _ERASED)
    yield _Row("Service", f"{facts.service_name}, {facts.plan_name} ({facts.kind})")
    yield _Row("Mechanic", facts.mechanic_name)
    yield _Row("Session", f"{session_time(facts, shown_zone(facts))}; {_utc(facts.start)} to {_utc(facts.end)}")
    yield _Row("Place", facts.venue_address or "Remote")


def _signature(evidence: WaiverEvidence, signature: WaiverSignature) -> Iterator[_Row]:
    zone = shown_zone(evidence.facts)
    local = signature.accepted_at.astimezone(ZoneInfo(zone))
    fits = "The document below has this hash." if evidence.fits(signature) else "DOES NOT FIT the document on record."
    yield _Row("Name, as typed", one_line(signature.signed_name) or _ERASED)
    yield _Row("Accepted at", f"{_utc(signature.accepted_at)}; {local.isoformat(timespec='seconds')} ({zone})")
    yield _Row("Document", f"version {signature.version}, language {signature.language}")
    yield _Row("SHA-256", f"{signature.sha256.hex()}\n{fits}")
    yield _Row("Address", signature.address or _ERASED)
    yield _Row("Agent", one_line(signature.user_agent) or (_ERASED if signature.erased_at else "(none was sent)"))
    yield _Row("Signed by", f"{_MEANS[signature.signer_role]} ({signature.signer_role} {one_line(signature.signer)})")
    yield _Row("Signature", str(signature.id))


def _all_texts(evidence: WaiverEvidence) -> str:
    rows = [*_booking(evidence), *(row for each in evidence.signatures for row in _signature(evidence, each))]
    return "".join((*(row.text for row in rows), *(each.body for each in evidence.documents)))


def _new(fonts: Fonts, evidence: WaiverEvidence, at: datetime) -> FPDF:
    pdf = FPDF(format="A4")
    pdf.set_creation_date(at)
    pdf.set_lang("en")
    pdf.set_title(f"Waiver of booking {evidence.facts.booking_id}")
    pdf.set_creator("Pitstop")
    pdf.set_auto_page_break(True, margin=18)
    fonts.install(pdf)
    pdf.add_page()
    return pdf


def _heading(pdf: FPDF, fonts: Fonts, text: str, size: int) -> None:
    pdf.ln(4)
    fonts.use(pdf, size)
    pdf.multi_cell(0, size * 0.55, text, new_x=XPos.LMARGIN, new_y=YPos.NEXT)
    pdf.ln(1)


def _rows(pdf: FPDF, fonts: Fonts, rows: list[_Row]) -> None:
    fonts.use(pdf, 10)
    for row in rows:
        pdf.cell(_LABEL_WIDTH, _LINE, row.label)
        pdf.multi_cell(0, _LINE, fonts.readable(row.text), align="L", new_x=XPos.LMARGIN, new_y=YPos.NEXT)


def _document(pdf: FPDF, fonts: Fonts, document: WaiverDocument) -> None:
    _heading(pdf, fonts, f"Document, version {document.version}, language {document.language}", 13)
    _rows(
        pdf,
        fonts,
        [_Row("In force from", _utc(document.in_force_from)), _Row("SHA-256", document.sha256.hex())],
    )
    pdf.ln(2)
    for paragraph in document.body.split("\n"):
        pdf.multi_cell(0, _LINE, fonts.readable(paragraph), align="L", new_x=XPos.LMARGIN, new_y=YPos.NEXT)
