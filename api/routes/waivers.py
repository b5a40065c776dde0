"""Waivers: the document, its signing, and the evidence of it."""

from datetime import UTC, datetime, timedelta
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query, Request, Response
from starlette.concurrency import run_in_threadpool

from api import budgets
from api.addresses import ClientAddress
from api.callers import Authenticated, BookingId, Reader, forbidden
from api.composition import InRooms, Rooms
from api.examples import shown
from api.openapi import problems
from api.problems import Problem, invalid_field, not_found
from api.reading import StrictRoute
from api.sheets import sheet_of
from api.waiver_examples import DOCUMENT, PUBLISHED, WAIVER
from api.waivers import Document, DocumentsIn, Published, WaiverIn, WaiverOut, document, refusal, stated, typed
from pitstop.domain.caller import Caller, Role
from pitstop.domain.waiver import Language, Signing, WaiverEvidence
from pitstop.postgres.waivers import TooEarly, Typed, WaiverState

router = APIRouter(prefix="/v1", tags=["waivers"], route_class=StrictRoute)
FURTHEST = timedelta(days=366)
SIGNERS = (Role.CUSTOMER, Role.LINK, Role.SERVICE)
_SHOWN_TO = (Role.CUSTOMER, Role.LINK, Role.MECHANIC, Role.OPERATOR)
_WRITING = problems(400, 401, 403, 404, 408, 409, 413, 415, 422, 503)


@router.get(
    "/waiver-documents/current",
    dependencies=[budgets.LIMITED_READ],
    responses={200: shown(DOCUMENT), **problems(404, 422, 503)},
)
async def current_document(
    rooms: InRooms, language: Annotated[Language, Query(examples=["en"])] = Language.ENGLISH
) -> Document:
    """The text that is in force now, with its version and hash."""
    current = await rooms.waivers.current(language, datetime.now(UTC))
    if current is None:
        raise not_found("document")
    return document(current)


@router.post(
    "/waiver-documents",
    status_code=201,
    responses={
        201: shown(PUBLISHED),
        200: shown(PUBLISHED, model=Published, description="The newest version has these texts already."),
        **problems(400, 401, 403, 408, 413, 415, 422, 503),
    },
)
async def publish_document(sent: DocumentsIn, caller: Authenticated, rooms: InRooms, response: Response) -> Published:
    """A new version, in all languages at once. It never changes: what is wrong in it is put right by the next one.

    For operators. Sent again, it is the same version.
    """
    if caller.role is not Role.OPERATOR:
        raise forbidden("Waiver documents are published by operators.")
    now = datetime.now(UTC)
    if sent.in_force_from is not None and sent.in_force_from < now:
        raise invalid_field("body.in_force_from", "has passed; leave it out for a version that is in force at once")
    if sent.in_force_from is not None and sent.in_force_from > now + FURTHEST:
        # Until then no other version could come into force.
        raise invalid_field("body.in_force_from", f"must be {FURTHEST.days} days ahead at most")
    texts = {Language.ENGLISH: sent.texts.en, Language.FRENCH: sent.texts.fr}
    try:
        published, new = await rooms.waivers.publish(caller, texts, sent.in_force_from, now)
    except TooEarly as error:
        raise invalid_field("body.in_force_from", f"must not be before {error}, when the newest begins") from error
    response.status_code = 201 if new else 200
    first, documents = published[0], [document(each) for each in published]
    return Published(version=first.version, in_force_from=first.in_force_from, documents=documents)


@router.get("/bookings/{id}/waiver", responses={200: shown(WAIVER), **problems(401, 404, 422, 503)})
async def read_waiver(id: BookingId, caller: Reader, rooms: InRooms) -> WaiverOut:
    """Whether the booking needs a waiver, and what has been signed."""
    return stated(await state_of(rooms, caller, id))


@router.post("/bookings/{id}/waiver", responses={200: shown(WAIVER), **_WRITING})
async def sign_waiver(
    id: BookingId, sent: WaiverIn, caller: Reader, rooms: InRooms, request: Request, address: ClientAddress
) -> WaiverOut:
    """The customer signs, by token or manage link; a service passes on what its customer has signed.

    409 `waiver_outdated`: another version is in force, and named. 409 `waiver_not_required`, `not_signable`: there is
    nothing to sign, or not at this time. Signing again adds a signature, and takes none away.
    """
    if caller.role not in SIGNERS:
        raise forbidden("A waiver is signed by the customer, and by nobody in its place.")
    before = await state_of(rooms, caller, id)
    language = sent.language or before.language or Language.ENGLISH
    what = typed(request, address, sent.signed_name, sent.document_version, language)
    return stated(await sign(rooms, caller, id, what))


async def sign(rooms: Rooms, caller: Caller, id: UUID, what: Typed) -> WaiverState:
    """Raises the problem that says why it was not signed."""
    outcome = await rooms.waivers.sign(caller, id, what)
    after = await state_of(rooms, caller, id)
    if outcome is not Signing.SIGNED:
        raise refusal(outcome, after.current_version)
    return after


async def state_of(rooms: Rooms, caller: Caller, id: UUID) -> WaiverState:
    state = await rooms.waivers.state(caller, id, datetime.now(UTC))
    if state is None:
        raise not_found()
    return state


@router.get(
    "/bookings/{id}/waiver.pdf",
    response_class=Response,
    responses={
        200: shown("%PDF-1.3 …", "application/pdf", description="The evidence, with all signatures."),
        **problems(401, 403, 404, 422, 503),
    },
)
async def read_evidence(id: BookingId, caller: Reader, rooms: InRooms) -> Response:
    """What was signed, by whom, when and from where, as a PDF: for the customer, its mechanic and operators.

    The same evidence is the same file, byte for byte. What it says is also attached to it as JSON.
    """
    if caller.role not in _SHOWN_TO:
        raise forbidden("The evidence is for the customer, the booking's mechanic and operators.")
    sheet = await sheet_of(rooms, caller, id)
    if sheet is None:
        raise not_found()
    if caller.role is Role.MECHANIC and not sheet.is_of(caller):
        raise forbidden("The evidence is for the customer, the booking's own mechanic and operators.")
    state = await state_of(rooms, caller, id)
    if not state.signatures:
        raise Problem(404, "not_found", "Not found", "Nothing has been signed for this booking.")
    evidence = WaiverEvidence(sheet.facts, state.signatures, state.documents)
    content = await run_in_threadpool(_pdf_of, evidence)
    headers = {"Cache-Control": "no-store", "Content-Disposition": f'attachment; filename="waiver-{id}.pdf"'}
    return Response(content, media_type="application/pdf", headers=headers)


def _pdf_of(evidence: WaiverEvidence) -> bytes:
    """Fonts are cut to what is used: too long for the loop that everybody else waits for. The libraries for it take as
    long to import as a third of the API, whose start should not wait for what is seldom asked."""
    from pitstop.gateways.waiver_pdf import evidence_pdf

    return evidence_pdf(evidence)
