"""What pages say, in each language of our customers (web/texts/), filled in as mails are."""

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from fastapi import Request
from jinja2 import Environment, StrictUndefined, Template

from api.languages import preferred
from pitstop.domain.notices import Language
from pitstop.gateways.phrasing import PHRASINGS

WEB = Path(__file__).parents[1] / "web"
_OTHER = "other"


def catalogue(language: Language) -> dict[str, Any]:
    """All entries of a language, in groups."""
    return tomllib.loads((WEB / "texts" / f"{language}.toml").read_text(encoding="utf-8"))


class PageWords:
    """One language. In a page's template `words.manage.when` is such an entry, as it stands; `say` fills one in.

    What comes out is plain text, with whatever people typed in it: the page escapes it.
    """

    def __init__(self, language: Language) -> None:
        self.language = language
        self.phrasing = PHRASINGS[language]
        self._texts = catalogue(language)
        self._templates = Environment(undefined=StrictUndefined, autoescape=False)  # noqa: S701 - plain text
        self._compiled: dict[tuple[str, ...], Template] = {}

    @property
    def tag(self) -> str:
        """As HTML names the language (BCP 47)."""
        return self.phrasing.tag

    def __getitem__(self, group: str) -> Any:
        return self._texts[group]

    def has(self, *path: str) -> bool:
        return path[-1] in self._group(path)

    def say(self, *path: str, **facts: Any) -> str:
        """The entry with these facts; for one that is not there the group's `other`."""
        named = path if self.has(*path) else (*path[:-1], _OTHER)
        if named not in self._compiled:
            self._compiled[named] = self._templates.from_string(self._group(named)[named[-1]])
        return self._compiled[named].render(facts)

    def _group(self, path: tuple[str, ...]) -> Mapping[str, Any]:
        group: Mapping[str, Any] = self._texts
        for name in path[:-1]:
            group = group.get(name, {})
        return group


WORDS = {language: PageWords(language) for language in Language}


def words_for(request: Request) -> PageWords:
    """For pages that know of no booking: in the language that the browser asks for."""
    return WORDS[preferred(request.headers.get("accept-language", ""))]
