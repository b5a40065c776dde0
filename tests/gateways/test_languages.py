"""Every notice in both languages: complete, of the same shape, and true to how each language writes times and money."""

import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from jinja2 import Environment, meta

from pitstop.domain.catalogue import SessionKind
from pitstop.domain.notices import BookingFacts, Language, Notice, NoticeKind
from pitstop.domain.text_length import is_gsm, parts
from pitstop.gateways import french
from pitstop.gateways.letter_words import catalogue
from pitstop.gateways.letters import LetterWriter, action_url
from pitstop.gateways.short_texts import ShortTexts, plain
from pitstop.ports import OutgoingMail
from pitstop.settings import Settings
from tests.gateways.samples import CONTROLS, NOW, in_person, video

SETTINGS = Settings(public_url="https://bookings.example.com")
WRITER, TEXTS = LetterWriter(SETTINGS, clock=lambda: NOW), ShortTexts(SETTINGS)
OFFERED, UNTIL = "2026-12-02T19:30:00+00:00", "2026-11-30T17:00:00+00:00"
DETAIL = {
    "url": "https://bookings.example.com/p/1",
    "reason": "A part is missing",
    "offered_start": OFFERED,
    "offered_mechanic": "Ana",
    "previous_mechanic": "Bo",
    "until": UNTIL,
    "previous_start": "2026-11-29T19:00:00+00:00",
    "absent": "customer",
}

every_notice = pytest.mark.parametrize(
    ("kind", "language"), [(kind, language) for kind in NoticeKind for language in Language]
)


def facts(language: Language, **changes: Any) -> BookingFacts:
    return video(**({"language": language, "amount_refunded": 4450, "amount_kept": 4450, "detail": DETAIL} | changes))


def notice(kind: NoticeKind, of: BookingFacts, **changes: Any) -> Notice:
    return replace(Notice(f"{of.booking_id}/{kind}", kind, of), **changes)


def mail(kind: NoticeKind, language: Language, **changes: Any) -> OutgoingMail:
    return WRITER.write(notice(kind, facts(language, **changes)))


def spaced(text: str) -> str:
    return " ".join(text.split())


def test_the_catalogues_have_the_same_entries() -> None:
    english, french_ones = catalogue(Language.EN), catalogue(Language.FR)
    assert english.keys() == french_ones.keys()
    assert english.keys() == {*NoticeKind, "labels", "places", "frame"}
    for section, entries in english.items():
        assert entries.keys() == french_ones[section].keys(), section
        assert len(entries.get("paragraphs", [])) == len(french_ones[section].get("paragraphs", [])), section
    assert english["places"].keys() == set(SessionKind)


def test_both_say_the_same_facts() -> None:
    """What a text fills in, in one language and in the other."""
    environment = Environment(autoescape=True)

    def used(text: Any) -> set[str]:
        joined = " ".join(text) if isinstance(text, list) else text
        return meta.find_undeclared_variables(environment.parse(joined))

    english, french_ones = catalogue(Language.EN), catalogue(Language.FR)
    for section, entries in english.items():
        for name, text in entries.items():
            assert used(text) == used(french_ones[section][name]), f"{section}.{name}"


@every_notice
def test_each_is_whole(kind: NoticeKind, language: Language) -> None:
    written = mail(kind, language)
    for part in (written.subject, written.text, written.html, TEXTS.write_text(notice(kind, facts(language)))):
        assert part.strip()
        assert not re.search(r"\{\{|\{%|None|\bundefined\b", part)
    assert f'<html lang="{language}-CA">' in written.html
    assert ("Bonjour" in written.text) == (language is Language.FR)
    assert max(map(len, written.subject.splitlines())) < 200


@every_notice
def test_without_what_it_may_bring_along_it_is_whole_too(kind: NoticeKind, language: Language) -> None:
    written = mail(kind, language, detail={}, amount_refunded=0, amount_kept=0)
    assert "None" not in written.text + written.html
    assert action_url(kind, facts(language, detail={})) in written.text
    assert "  " not in written.text.replace("--  ", "").split("\n\n")[0]


@every_notice
def test_a_text_message_is_short_and_cheap(kind: NoticeKind, language: Language) -> None:
    own = facts(language, service_name="Diagnostic complet du moteur et de la transmission", detail={})
    text = TEXTS.write_text(notice(kind, own))
    assert is_gsm(text), [c for c in text if not is_gsm(c)]
    assert parts(text) <= 2, (len(text), text)
    assert "https://bookings.example.com/b/" in text
    assert text.endswith({"en": "Reply STOP to opt out.", "fr": "Répondez ARRET pour ne plus en recevoir."}[language])


@every_notice
def test_nothing_that_people_type_gets_out_of_its_place(kind: NoticeKind, language: Language) -> None:
    name = f"Ann{CONTROLS}Bcc: rival@example.com"
    typed = dict.fromkeys(("reason", "offered_mechanic", "previous_mechanic"), name)
    of = facts(language, customer_name=name, mechanic_name=name, service_name=name, detail=DETAIL | typed)
    written = WRITER.write(notice(kind, of))
    for part in (written.subject, written.to_name, TEXTS.write_text(notice(kind, of))):
        assert len(part.splitlines()) == 1
        assert not set(part) & set(CONTROLS.replace("[31m", ""))
    assert not any(line.startswith("Bcc:") for line in written.text.splitlines())


@every_notice
def test_markup_and_templates_that_people_type_are_text(kind: NoticeKind, language: Language) -> None:
    typed = '<script>{{ 7 * 7 }}</script>" onload="x'
    of = facts(
        language, customer_name=typed, mechanic_name=typed, detail=DETAIL | {"reason": typed, "url": "javascript:x"}
    )
    written = WRITER.write(notice(kind, of))
    assert "<script" not in written.html
    assert "49" not in re.sub(r"[0-9a-f-]{36}|\+\d+|#\w+", "", written.subject)
    assert "javascript:" not in written.html + written.text


@pytest.mark.parametrize("language", Language)
@pytest.mark.parametrize("kind", [NoticeKind.CANCELLATION, NoticeKind.REFUND, NoticeKind.NO_SHOW])
@pytest.mark.parametrize(("refunded", "kept"), [(8900, 0), (4450, 4450), (0, 8900)])
def test_a_change_says_what_goes_back_and_what_stays(
    kind: NoticeKind, language: Language, refunded: int, kept: int
) -> None:
    text = spaced(mail(kind, language, amount_refunded=refunded, amount_kept=kept).text)
    labels = catalogue(language)["labels"]
    write = {Language.EN: "CA${:.2f}", Language.FR: "{:.2f} $"}[language]

    def money(amount: int) -> str:
        written = write.format(amount / 100)
        return written.replace(".", ",") if language is Language.FR else written

    colon = " :" if language is Language.FR else ":"
    assert f"{labels['refunded']}{colon} {money(refunded)}" in text
    assert (f"{labels['kept']}{colon} {money(kept)}" in text) == (kept > 0)
    stays = {Language.EN: "stays with us", Language.FR: "nous restent"}[language]
    assert (stays in text) == (kept > 0)


@pytest.mark.parametrize("kind", [NoticeKind.CANCELLATION, NoticeKind.REFUND, NoticeKind.NO_SHOW])
@pytest.mark.parametrize(
    ("language", "says"),
    [
        (Language.EN, ["Paid: CA$89.00", "Goes back: CA$25.00", "Went back before: CA$39.00", "Kept: CA$25.00"]),
        (Language.FR, ["Payé : 89,00 $", "Remboursement : 25,00 $", "Déjà remboursé : 39,00 $", "Conservé : 25,00 $"]),
    ],
)
def test_what_went_back_before_is_not_announced_again(kind: NoticeKind, language: Language, says: list[str]) -> None:
    """The price was lowered in between: what came is more than that."""
    sums = {"amount": 5000, "amount_paid": 8900, "amount_refunded": 2500, "amount_returned": 3900, "amount_kept": 2500}
    text = spaced(mail(kind, language, **sums).text)
    assert [row for row in says if row not in text] == [], text
    assert {Language.EN: "of the CA$89.00 that you", Language.FR: "les 89,00 $ que vous"}[language] in text
    before = {Language.EN: "CA$39.00 went back before.", Language.FR: "39,00 $ vous ont déjà été remboursés."}[language]
    assert before in text
    assert before not in spaced(mail(kind, language, **sums | {"amount_returned": 0}).text)


@pytest.mark.parametrize(
    ("language", "moved", "changed"),
    [
        (Language.EN, "has a new time", "instead of Brake check, Short"),
        (Language.FR, "a une nouvelle heure", "au lieu de Brake check, Short"),
    ],
)
def test_a_change_says_what_is_another_now(language: Language, moved: str, changed: str) -> None:
    """A time that stays is no new one, also where a notice of before knows it as the former one."""
    kind, former = NoticeKind.RESCHEDULED, {"previous_plan": "Brake check, Short"}
    for detail in (former, former | {"previous_start": "2026-12-01T19:00:00+00:00"}):
        text = spaced(mail(kind, language, detail=detail).text)
        assert (moved in text, changed in text) == (False, True)
    text = spaced(mail(kind, language, detail={"previous_start": "2026-11-29T19:00:00+00:00"}).text)
    assert (moved in text, changed in text) == (True, False)


@pytest.mark.parametrize(("language", "row"), [(Language.EN, "you: CA$10.50"), (Language.FR, "rendu : 10,50 $")])
def test_what_goes_back_of_a_change_is_named(language: Language, row: str) -> None:
    """The difference alone, whatever has gone back before."""
    assert row in spaced(mail(NoticeKind.DIFFERENCE_RETURNED, language, detail={"returned": 1050}).text)


@pytest.mark.parametrize(
    ("language", "says"), [(Language.EN, "the CA$10.50 more"), (Language.FR, "les 10,50 $ de plus")]
)
def test_what_was_not_paid_for_a_change_is_named(language: Language, says: str) -> None:
    assert says in spaced(mail(NoticeKind.DIFFERENCE_UNPAID, language, detail={"difference": 1050}).text)


@pytest.mark.parametrize(
    ("kind", "method"),
    [
        (NoticeKind.CONFIRMATION, "REQUEST"),
        (NoticeKind.RESCHEDULED, "REQUEST"),
        (NoticeKind.HANDED_OVER, "REQUEST"),
        (NoticeKind.CANCELLATION, "CANCEL"),
    ],
)
@pytest.mark.parametrize("language", Language)
def test_what_changes_the_calendar_brings_the_entry(kind: NoticeKind, method: str, language: Language) -> None:
    written = mail(kind, language)
    assert written.calendar is not None
    assert written.calendar.method == method
    assert "invite.ics" in written.text


@pytest.mark.parametrize("unanswered", ["awaiting", "proposed"])
@pytest.mark.parametrize("language", Language)
def test_nobody_is_expected_before_the_workshop_has_confirmed(language: Language, unanswered: str) -> None:
    expected = {Language.EN: "expecting you", Language.FR: "vous attend"}[language]
    asked = {Language.EN: "The workshop still has to confirm it", Language.FR: "L'atelier doit encore la confirmer"}
    by = {Language.EN: "Mon 30 Nov 2026, 12:00", Language.FR: "30 nov"}[language]
    changes = {"unanswered": unanswered, "answer_by": datetime.fromisoformat(UNTIL), "detail": {}}
    for kind in (NoticeKind.RESCHEDULED, NoticeKind.HANDED_OVER):
        text = spaced(mail(kind, language, **changes).text)
        assert expected not in text
        assert asked[language] in text
        # That is the workshop's time to answer, not the customer's.
        assert (by in text) == (unanswered == "awaiting")
        assert asked[language] not in spaced(mail(kind, language).text)
    assert expected in mail(NoticeKind.RESCHEDULED, language).text


@pytest.mark.parametrize("language", Language)
def test_who_is_to_sign_before_the_workshop_has_confirmed_is_told_so(language: Language) -> None:
    says = {
        "awaiting": {
            Language.EN: "The workshop still has to confirm your session, by Mon 30 Nov 2026, 12:00",
            Language.FR: "L'atelier doit encore confirmer votre séance, d'ici le",
        },
        "proposed": {
            Language.EN: "The workshop has proposed another time for your session",
            Language.FR: "L'atelier a proposé une autre heure pour votre séance",
        },
    }
    for unanswered in ("awaiting", "proposed", None):
        answer_by = datetime.fromisoformat(UNTIL)
        text = spaced(mail(NoticeKind.WAIVER_REQUEST, language, unanswered=unanswered, answer_by=answer_by).text)
        assert {word: said[language] in text for word, said in says.items()} == {
            word: word == unanswered for word in says
        }


@pytest.mark.parametrize("language", Language)
@pytest.mark.parametrize("kind", [NoticeKind.REMINDER, NoticeKind.CONFIRMATION, NoticeKind.RESCHEDULED])
def test_nobody_is_expected_by_a_mechanic_who_is_away(kind: NoticeKind, language: Language) -> None:
    expected = {Language.EN: "is expecting you", Language.FR: "vous attend"}[language]
    away = {Language.EN: "we are finding a solution", Language.FR: "nous cherchons une solution"}[language]
    for is_away in (False, True):
        text = spaced(mail(kind, language, mechanic_away=is_away).text)
        assert (expected in text, away in text) == (not is_away, is_away)
    short = TEXTS.write_text(notice(NoticeKind.REMINDER, facts(language, mechanic_away=True)))
    assert away in short
    assert is_gsm(short)
    assert parts(short) <= 2


@pytest.mark.parametrize(
    ("language", "silent", "says"),
    [
        (Language.EN, None, "cannot take your session"),
        (Language.EN, "workshop", "the workshop did not answer in time"),
        (Language.EN, "customer", "you did not answer in time"),
        (Language.FR, None, "ne peut pas prendre votre séance"),
        (Language.FR, "workshop", "l'atelier n'a pas répondu à temps"),
        (Language.FR, "customer", "vous n'avez pas répondu à temps"),
    ],
)
def test_why_a_workshop_does_not_take_the_customer(language: Language, silent: str | None, says: str) -> None:
    declined, detail = NoticeKind.WORKSHOP_DECLINED, {"silent": silent}
    written = mail(declined, language, detail=detail)
    assert says in spaced(written.text)
    refuses = {Language.EN: "has declined", Language.FR: "a refusé"}[language]
    assert (refuses in written.subject) == (silent is None)
    text = TEXTS.write_text(notice(declined, facts(language, detail=detail)))
    assert is_gsm(text)
    assert (says in text) == (silent is None)


def test_the_entry_is_in_the_customers_language() -> None:
    for kind, said, unsaid in (
        (NoticeKind.CONFIRMATION, ("avec", "Mécanicien :", "89\\,00 $"), ("Mechanic", "CA$")),
        (NoticeKind.CANCELLATION, ("avec", "Cette réservation est annulée.", "En ligne"), ("cancelled", "Online")),
    ):
        calendar = mail(kind, Language.FR).calendar
        assert calendar is not None
        entry = spaced(calendar.content.replace("\r\n ", "").replace("\u00a0", " "))
        assert [word for word in said if word not in entry] == [], entry
        assert [word for word in (" with ", *unsaid) if word in entry] == [], entry


def test_the_others_leave_it_alone() -> None:
    changing = {NoticeKind.CONFIRMATION, NoticeKind.RESCHEDULED, NoticeKind.HANDED_OVER, NoticeKind.CANCELLATION}
    changing |= {NoticeKind.WORKSHOP_DECLINED}
    for kind in set(NoticeKind) - changing:
        assert mail(kind, Language.EN).calendar is None, kind


def test_a_notice_leads_where_it_says() -> None:
    written = mail(NoticeKind.PROPOSAL, Language.EN)
    assert 'href="https://bookings.example.com/p/1"' in written.html
    assert "Answer the proposal:\nhttps://bookings.example.com/p/1" in written.text
    assert "Proposed:" in written.text
    assert "Wed 2 Dec 2026, 14:30 EST" in written.text


@pytest.mark.parametrize("kind", [NoticeKind.PROPOSAL, NoticeKind.WORKSHOP_PROPOSAL])
@pytest.mark.parametrize(
    ("language", "first", "second", "ends"),
    [
        (
            Language.EN,
            "Proposed: Wed 2 Dec 2026, 14:30 EST Proposed:",
            "Proposed: Thu 3 Dec 2026, 14:30 EST, with Ana [31m Silva",
            "Without your yes the booking is cancelled, and all of the money goes back",
        ),
        (
            Language.FR,
            "Proposition : 2 décembre 2026 à 14 h 30 HNE Proposition :",
            "Proposition : 3 décembre 2026 à 14 h 30 HNE, avec Ana [31m Silva",
            "Sans votre accord, la réservation est annulée, et tout l'argent vous est remboursé",
        ),
    ],
)
def test_of_several_proposed_times_each_is_named(
    kind: NoticeKind, language: Language, first: str, second: str, ends: str
) -> None:
    later = {"start": "2026-12-03T19:30:00+00:00", "mechanic": f"Ana{CONTROLS}Silva"}
    detail = {"options": [{"start": OFFERED, "mechanic": None}, later], "until": UNTIL}
    text = spaced(mail(kind, language, detail=detail).text)
    assert [row for row in (first, second) if row not in text] == [], text
    assert (ends in text) == (kind is NoticeKind.WORKSHOP_PROPOSAL)
    alone = {"offered_start": OFFERED, "offered_mechanic": "Ana", "until": UNTIL}
    lead = {Language.EN: "14:30 EST, with Ana.", Language.FR: "14 h 30 HNE, avec Ana."}[language]
    assert lead in spaced(mail(kind, language, detail=alone).text)


def test_what_goes_to_a_workshop_has_no_link_of_the_customers() -> None:
    away = {"to_address": "bay@workshop.example", "to_name": "Atelier Nord"}
    written = mail(NoticeKind.WORKSHOP_REQUEST, Language.FR, detail=away)
    assert (written.to_address, written.to_name) == ("bay@workshop.example", "Atelier Nord")
    assert "token=" not in written.text + written.html
    assert "Bonjour Atelier Nord," in written.text


@pytest.mark.parametrize("absent", ["customer", "mechanic"])
def test_who_did_not_come_is_told_rightly(absent: str) -> None:
    text = mail(NoticeKind.NO_SHOW, Language.EN, detail={"absent": absent}).text
    assert ("did not come to your session. We are sorry" in text) == (absent == "mechanic")


def test_each_sending_has_a_message_id_of_its_own_and_each_try_of_one_the_same() -> None:
    first = notice(NoticeKind.CONFIRMATION, facts(Language.EN))
    again = replace(first, sending=2)
    assert WRITER.write(first).message_id == WRITER.write(first).message_id
    assert WRITER.write(again).message_id == WRITER.write(again).message_id != WRITER.write(first).message_id


@pytest.mark.parametrize(
    ("moment", "text"),
    [
        (datetime(2026, 12, 1, 19, 0, tzinfo=UTC), "1 décembre 2026 à 14 h HNE"),
        (datetime(2026, 7, 1, 12, 5, tzinfo=UTC), "1 juillet 2026 à 8 h 05 HAE"),
        (datetime(2026, 8, 31, 4, 0, tzinfo=UTC), "31 août 2026 à 0 h HAE"),
    ],
)
def test_french_times(moment: datetime, text: str) -> None:
    assert french.moment_in(moment, "America/Toronto") == text


def test_french_sessions_name_day_and_zone() -> None:
    assert (
        french.session_time(video(), "America/Toronto") == "mardi 1 décembre 2026, de 14 h à 15 h HNE (America/Toronto)"
    )
    fall_back = video(start=datetime(2026, 11, 1, 5, 30, tzinfo=UTC), end=datetime(2026, 11, 1, 6, 30, tzinfo=UTC))
    assert french.session_time(fall_back, "America/Toronto") == (
        "dimanche 1 novembre 2026, de 1 h 30 HAE à 1 h 30 HNE (America/Toronto)"
    )
    assert "UTC+05:45 (Asia/Kathmandu)" in french.session_time(video(), "Asia/Kathmandu")
    over_midnight = french.session_time(video(), "Asia/Yerevan")
    assert over_midnight.startswith("mardi 1 décembre 2026, 23 h, au mercredi 2 décembre 2026, 0 h")


@pytest.mark.parametrize(
    ("amount", "currency", "text"),
    [
        (8900, "cad", "89,00 $"),
        (123456789, "usd", "1 234 567,89 $ US"),
        (500, "jpy", "500 ¥"),
        (5120, "kwd", "5,120 KWD"),
        (500, "ugx", "5,00 UGX"),
        (0, "eur", "0,00 €"),
    ],
)
def test_french_money_from_stripes_minor_units(amount: int, currency: str, text: str) -> None:
    assert spaced(french.money(amount, currency)) == text


@pytest.mark.parametrize(("seconds", "text"), [(86400, "24 heures"), (3600, "1 heure"), (5400, "90 minutes")])
def test_french_spans(seconds: int, text: str) -> None:
    assert french.span(timedelta(seconds=seconds)) == text


def test_in_person_the_customers_own_time_stands_beside_the_workshops() -> None:
    written = WRITER.write(notice(NoticeKind.CONFIRMATION, in_person(language=Language.FR)))
    assert "Pour vous" in written.text
    assert "L'atelier est dans un autre fuseau horaire que vous" in written.text


@pytest.mark.parametrize(
    ("typed", "sent"),
    [("Zoë", "Zoe"), ("Łukasz", "Łukasz"), ("a\u00a0\u2013\u2019b", "a -'b"), ("İ", "I"), ("€{}", "€{}")],
)
def test_letters_that_would_cost_double_lose_their_accents(typed: str, sent: str) -> None:
    assert plain(typed) == sent
