"""Text messages: short, in the customer's language, with a link and the word that turns them off."""

import unicodedata

from pitstop.domain.notices import Notice
from pitstop.domain.text_length import is_gsm
from pitstop.gateways.letter_words import LetterWords, settled
from pitstop.gateways.short_links import ShortLinks
from pitstop.gateways.wording import one_line
from pitstop.settings import Settings

# Typographers' signs that the alphabet of text messages lacks, and what stands for them there.
_PLAIN = str.maketrans({"\u00a0": " ", "\u202f": " ", "\u2013": "-", "\u2014": "-", "\u2018": "'", "\u2019": "'"})


class ShortTexts:
    """The port `TextWriter`. The same notice gives the same text: a message whose answer was lost is known by it."""

    def __init__(self, settings: Settings) -> None:
        self._words = LetterWords(one_line(settings.mail_from_name))
        self._links = ShortLinks(settings)

    def write_text(self, notice: Notice) -> str:
        """On one line. Letters lose the accents that the 7-bit alphabet lacks: one of them would double the price."""
        facts = settled(notice.facts)
        filled = self._words.of(notice, facts, short=True)
        link = facts.detail.get("url") or self._links.url(facts.booking_id, facts.end)
        if notice.reminder_offset is not None:
            # Reminders of one session say the same: the link, to the same page, tells them apart in Twilio's list.
            link = f"{link}#{notice.reminder_offset.total_seconds():.0f}"
        text = f"{filled.words['sender']}: {filled.text('sms')} {link} {filled.words['stop']}"
        return plain(text)


def plain(text: str) -> str:
    """The text in the 7-bit alphabet as far as its letters have something alike there."""
    return "".join(_alike(character) for character in text.translate(_PLAIN))


def _alike(character: str) -> str:
    if is_gsm(character):
        return character
    base = "".join(c for c in unicodedata.normalize("NFKD", character) if not unicodedata.combining(c))
    return base if base and is_gsm(base) else character
