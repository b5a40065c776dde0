"""Fonts that are put into PDFs, so that a name reads as it was typed: FiraGO, and Noto Sans CJK where it has no glyph.

Both are under the SIL Open Font License. Only the glyphs that are used get into a file.
"""

import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from tempfile import mkdtemp
from typing import cast

import pymupdf_fonts
from fontTools.ttLib import TTFont
from fpdf import FPDF

_MAIN, _EAST_ASIAN = "firago", "notosanscjk"
_CJK_PACKAGE, _CJK_FILE = "cvttf_NotoSansCJK_Regular", "NotoSansCJKtc-Regular.otf"
# What shapes text and is no glyph of its own: joiners, and the selectors of a glyph's variant.
_SHAPING = frozenset("\u200c\u200d\ufe0e\ufe0f")


@cache
def _main_file() -> Path:
    """The library takes files; the package has the font in a module."""
    buffers = cast(dict[str, Callable[[], bytes]], pymupdf_fonts.fontbuffers)
    path = Path(mkdtemp(prefix="pitstop-fonts-")) / f"{_MAIN}.ttf"
    path.write_bytes(buffers["figo"]())
    return path


@cache
def _east_asian_file() -> Path:
    """Found without importing the package, of which only the font is wanted."""
    spec = find_spec(_CJK_PACKAGE)
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError(_CJK_PACKAGE)
    return Path(spec.origin).with_name(_CJK_FILE)


@cache
def _characters_of(path: Path) -> frozenset[int]:
    with TTFont(path, lazy=True) as font:
        return frozenset(font.getBestCmap())


@dataclass(frozen=True, slots=True)
class Fonts:
    """The fonts that some texts need. The East Asian one is large, and taken only where something needs it."""

    files: dict[str, Path]

    @classmethod
    def for_texts(cls, text: str) -> "Fonts":
        files = {_MAIN: _main_file()}
        if any(ord(character) > 0xFF and not _shows(files, character) for character in text):
            files[_EAST_ASIAN] = _east_asian_file()
        return cls(files)

    def install(self, pdf: FPDF) -> None:
        for family, path in self.files.items():
            pdf.add_font(family, fname=path)
        pdf.set_fallback_fonts([family for family in self.files if family != _MAIN])
        self.use(pdf, 10)
        # Joined and right-to-left scripts.
        pdf.set_text_shaping(True)

    def use(self, pdf: FPDF, size: int) -> None:
        pdf.set_font(_MAIN, size=size)

    def readable(self, text: str) -> str:
        """The text with what no font has as a code point: a name loses no letter."""
        return "".join(c if _shows(self.files, c) else f"[U+{ord(c):04X}]" for c in unicodedata.normalize("NFC", text))


def _shows(files: dict[str, Path], character: str) -> bool:
    shapes = character == "\n" or character in _SHAPING
    return shapes or any(ord(character) in _characters_of(path) for path in files.values())
