"""The evidence as a PDF, read by another library than the one that writes it."""

import hashlib
import importlib
import json
import logging
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from io import BytesIO
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest
from pypdf import PdfReader

from pitstop.domain.waiver import Language, WaiverDocument, WaiverEvidence, WaiverSignature, document_hash
from pitstop.gateways.waiver_pdf import evidence_pdf
from tests.gateways.samples import in_person
from tests.support.shop import open_workshop
from tests.support.shops import hire
from tests.waiver.conftest import Booked, MakeSigner, Someone

AT = datetime(2026, 12, 1, 13, 10, 0, 123456, tzinfo=UTC)
# Where the session is; which offset that is depends on the release of the zone data.
LOCAL = AT.astimezone(ZoneInfo("America/Vancouver"))
NAMES = (
    *(
        "Zoé Łukasz-O'Brien",
        "Жанна Агузарова",
        "Ζωή Παπαδοπούλου",
        "Nguyễn Thị Ánh",
        "ゆき 山田太郎",
        "김철수",
        "王小明",
    ),
    *("محمد علي", "דוד לוי", "नरेन्द्र मोदी", "สมชาย ใจดี", "გიორგი"),
)


def _document(version: int, language: Language, body: str) -> WaiverDocument:
    return WaiverDocument(version, language, body, document_hash(body), AT - timedelta(days=30))


ENGLISH = _document(1, Language.ENGLISH, "Waiver\n\nI accept the risks.")
FRENCH = _document(2, Language.FRENCH, "Décharge\n\nJ'accepte les risques : « tous ».")


def _signature(name: str = "Camille Roy", of: WaiverDocument = ENGLISH, **changes: Any) -> WaiverSignature:
    signature = WaiverSignature(
        id=UUID(int=7),
        version=of.version,
        language=of.language,
        sha256=of.sha256,
        signed_name=name,
        accepted_at=AT,
        address="203.0.113.7",
        user_agent="Mozilla/5.0 (iPhone)",
        signer_role="link",
        signer="0193c1a0-0000-7000-8000-000000000001",
        erased_at=None,
    )
    return replace(signature, **changes)


def _evidence(*signatures: WaiverSignature, documents: tuple[WaiverDocument, ...] = (ENGLISH,)) -> WaiverEvidence:
    return WaiverEvidence(in_person(), signatures, documents)


def _read(content: bytes) -> tuple[str, Any]:
    """Its words, without where lines broke; and what is attached."""
    reader = PdfReader(BytesIO(content))
    text = "".join("".join(page.extract_text().split()) for page in reader.pages)
    [attached] = reader.attachments["evidence.json"]
    return text, json.loads(attached)


def _squeezed(text: str) -> str:
    return "".join(text.split())


def test_all_that_is_known_is_in_it_in_order() -> None:
    later = _signature("C. Roy", FRENCH, id=UUID(int=8), accepted_at=AT + timedelta(minutes=5), signer_role="customer")
    text, attached = _read(evidence_pdf(_evidence(_signature(), later, documents=(ENGLISH, FRENCH))))
    for word in (
        *(str(in_person().booking_id), "Zoë Łukasiewicz", "Björn Åkesson", "Engine noise check", "12 Main St"),
        *("Camille Roy", "203.0.113.7", "Mozilla/5.0 (iPhone)", str(UUID(int=7)), str(UUID(int=8)), "C. Roy"),
        *(
            "2026-12-01T13:10:00.123456Z",
            f"{LOCAL.isoformat(timespec='seconds')} (America/Vancouver)",
            "2026-12-01T13:15:00.123456Z",
        ),
        *(ENGLISH.sha256.hex(), FRENCH.sha256.hex(), "I accept the risks.", "J'accepte les risques : « tous »."),
        *("version 1, language en", "version 2, language fr", "Signature 1 of 2", "Signature 2 of 2"),
    ):
        assert _squeezed(word) in text, word
    assert text.index("Signature1of2") < text.index("Signature2of2")
    assert "DOESNOTFIT" not in text
    assert [each["signed_name"] for each in attached["signatures"]] == ["Camille Roy", "C. Roy"]
    for each in attached["documents"]:
        assert hashlib.sha256(each["text"].encode()).hexdigest() == each["sha256"]


@pytest.mark.parametrize("name", NAMES)
def test_names_of_any_script_are_kept(name: str) -> None:
    """In the attachment letter for letter, on the page in a font that has its letters: no code points, no boxes."""
    text, attached = _read(evidence_pdf(_evidence(_signature(name))))
    assert attached["signatures"][0]["signed_name"] == name
    assert "[U+" not in text
    assert ".notdef" not in text
    # Marks are placed, and right-to-left text is drawn, in another order than they are written.
    letters = sorted(character for character in name if character.isalpha())
    assert sum(letter in text for letter in letters) >= len(letters) * 0.6


@pytest.mark.parametrize(
    ("name", "shown"), [("Zoe \U0001f600", "[U+1F600]"), ("A\ue000", "[U+E000]"), ("ᚠᚢ", "[U+16A0]")]
)
def test_what_no_font_has_is_written_as_its_code_point(name: str, shown: str) -> None:
    text, attached = _read(evidence_pdf(_evidence(_signature(name))))
    assert shown in text
    assert attached["signatures"][0]["signed_name"] == name


def test_it_is_the_same_file_for_the_same_evidence() -> None:
    evidence = _evidence(_signature("山田 Zoé"))
    assert evidence_pdf(evidence) == evidence_pdf(evidence)
    assert evidence_pdf(evidence) != evidence_pdf(_evidence(_signature("山田 Zoe")))


@pytest.mark.parametrize("quiet", [True, False])
def test_the_log_has_no_letter_of_it(caplog: pytest.LogCaptureFixture, quiet: bool) -> None:
    """The font tools list the glyphs of a name. As long as the API keeps them quiet, nothing is told; else it is."""
    importlib.import_module("api.app")
    for logger in () if quiet else ("fontTools",):
        caplog.set_level(logging.INFO, logger=logger)
    evidence_pdf(_evidence(_signature("\u0141ukasz")))
    assert any("Lslash" in record.getMessage() for record in caplog.records) is not quiet


def test_another_text_than_the_one_signed_shows() -> None:
    forged = "Waiver\n\nI accept everything."
    for document in (replace(ENGLISH, body=forged), _document(1, Language.ENGLISH, forged)):
        text, attached = _read(evidence_pdf(_evidence(_signature(), documents=(document,))))
        assert "DOESNOTFIT" in text
        assert attached["signatures"][0]["fits_document"] is False


def test_what_was_erased_and_what_never_was() -> None:
    erased = _signature("", address="", user_agent="", erased_at=AT)
    text, attached = _read(evidence_pdf(_evidence(erased, _signature(user_agent=""))))
    assert text.count("(erased)") == 3
    assert "(nonewassent)" in text
    assert attached["signatures"][0]["erased_at"]


def test_a_long_name_and_text_break_over_lines_and_pages() -> None:
    long = _document(1, Language.ENGLISH, "Waiver\n\n" + "\n\n".join(f"Clause {n}. " + "word " * 80 for n in range(60)))
    content = evidence_pdf(_evidence(_signature("W" * 200, long), documents=(long,)))
    text, _ = _read(content)
    assert len(PdfReader(BytesIO(content)).pages) > 3
    assert "W" * 200 in text
    assert "Clause59." in text


async def test_who_gets_it(booked: Booked, signer: MakeSigner, someone: Someone) -> None:
    case = await booked(by="service")
    who = await signer(case)
    path = f"{who.path}.pdf"
    assert (await who.http.get(path, headers=who.headers)).status_code == 404, "nothing is signed yet"
    await who.sign("山田 Zoé")
    expected = {
        ("customer", str(case.customer_id)): 200,
        ("mechanic", str(case.shop.mechanic_id)): 200,
        ("operator", "operator-1"): 200,
        ("service", case.created_by): 403,
        ("customer", "00000000-0000-4000-8000-0000000000c9"): 404,
        ("mechanic", "00000000-0000-4000-8000-0000000000c9"): 404,
    }
    files = set()
    for (role, subject), status in expected.items():
        answer = await who.http.get(path, headers=(await someone(role, subject)).headers)
        assert answer.status_code == status, (role, answer.text[:200])
        files |= {answer.content} if status == 200 else set()
    by_link = await who.http.get(path, params={"token": who.link})
    assert by_link.status_code == 200
    assert files == {by_link.content}, "the same for everybody"
    assert (await who.http.get(path)).status_code == 401
    _, attached = _read(by_link.content)
    assert attached["signatures"][0]["signed_name"] == "山田 Zoé"
    assert attached["signatures"][0]["address"] == "127.0.0.1"


async def test_who_keeps_the_workshop_does_not_get_that_of_others(
    booked: Booked, signer: MakeSigner, someone: Someone, database: Any
) -> None:
    """Though the keeper sees the booking, and its mechanic does get it. Nothing says that the keeper has read it."""
    case = await booked()
    who = await signer(case)
    await who.sign()
    keeper = await hire(database, case.shop, "Kim Lee")
    workshop = await open_workshop(database, 1, case.shop.mechanic_id, keeper)
    await database.execute("UPDATE mechanics SET keeps_workshop = TRUE WHERE id = $1", keeper)
    await database.execute("UPDATE bookings SET workshop_id = $2 WHERE id = $1", case.booking_id, workshop)
    for mechanic, status in ((keeper, 403), (case.shop.mechanic_id, 200)):
        headers = (await someone("mechanic", str(mechanic))).headers
        assert (await who.http.get(who.path.removesuffix("/waiver"), headers=headers)).status_code == 200
        answer = await who.http.get(f"{who.path}.pdf", headers=headers)
        assert answer.status_code == status, answer.text[:200]
    read_by = "SELECT actor FROM audit_log WHERE action = 'waiver.read' AND object_id = $1"
    assert [row["actor"] for row in await database.fetch(read_by, str(case.booking_id))] == [str(case.shop.mechanic_id)]


async def test_that_others_have_read_it_is_on_record(booked: Booked, signer: MakeSigner, someone: Someone) -> None:
    case = await booked()
    who = await signer(case)
    await who.sign()
    operator = await someone("operator", "operator-2")
    for reader in (operator, await someone("mechanic", str(case.shop.mechanic_id))):
        await who.http.get(f"{who.path}.pdf", headers=reader.headers)
    items = (await operator.get("/v1/audit-log", object_id=str(case.booking_id), action="waiver.read")).json()["items"]
    assert {entry["actor_role"] for entry in items} == {"operator", "mechanic"}
