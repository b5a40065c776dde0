"""A reader of iCalendar text of the tests' own (RFC 5545, 3.1 to 3.3.11), strict, and not the library that writes it.

What it does not expect is a failure, so that no line that somebody typed gets in.
"""

import re
from dataclasses import dataclass, field

_NAME = re.compile(r"[A-Z0-9-]+")
_PLAIN = re.compile(r"[^\x00-\x08\x0a-\x1f\x7f\";:,]*")
_QUOTED = re.compile(r"\"([^\x00-\x08\x0a-\x1f\x7f\"]*)\"")


@dataclass(frozen=True, slots=True)
class Line:
    name: str
    parameters: dict[str, list[str]]
    value: str

    @property
    def text(self) -> str:
        """The value as TEXT (3.3.11)."""
        assert not re.search(r"(?<!\\)(?:\\\\)*[,;]", self.value), f"not escaped: {self.value!r}"
        return re.sub(r"\\(.)", _meant, self.value)


@dataclass(slots=True)
class Component:
    name: str
    lines: list[Line] = field(default_factory=list)
    parts: list["Component"] = field(default_factory=list)

    @property
    def names(self) -> list[str]:
        return sorted(line.name for line in self.lines)

    def __getitem__(self, name: str) -> Line:
        [line] = [line for line in self.lines if line.name == name]
        return line

    def of(self, name: str) -> list["Component"]:
        return [part for part in self.parts if part.name == name]


def read(text: str) -> Component:
    """The one VCALENDAR in the text."""
    open_ = [Component("")]
    for line in _unfolded(text):
        if line.name == "BEGIN":
            open_.append(Component(line.value))
        elif line.name == "END":
            closed = open_.pop()
            assert closed.name == line.value
            open_[-1].parts.append(closed)
        else:
            open_[-1].lines.append(line)
    [whole] = open_
    [calendar] = whole.parts
    assert calendar.name == "VCALENDAR"
    assert not whole.lines
    return calendar


def _unfolded(text: str) -> list[Line]:
    data = text.encode()
    assert data.endswith(b"\r\n")
    assert not re.search(rb"(?<!\r)\n|\r(?!\n)", data), "lines end in CRLF"
    physical = data[:-2].split(b"\r\n")
    assert max(map(len, physical)) <= 75
    for each in physical:
        each.decode()  # folded between characters
    return [_line(each.decode()) for each in data[:-2].replace(b"\r\n ", b"").split(b"\r\n")]


def _line(text: str) -> Line:
    name = _NAME.match(text)
    assert name, f"no content line: {text!r}"
    place, parameters = name.end(), dict[str, list[str]]()
    while text[place] == ";":
        key, place = _key(text, place + 1)
        assert key not in parameters, f"twice: {key}"
        parameters[key], place = _values(text, place)
    assert text[place] == ":", f"no content line: {text!r}"
    return Line(name.group(), parameters, text[place + 1 :])


def _key(text: str, place: int) -> tuple[str, int]:
    key = _NAME.match(text, place)
    assert key
    assert text[key.end()] == "="
    return key.group(), key.end() + 1


def _values(text: str, place: int) -> tuple[list[str], int]:
    values = []
    while True:
        match = _QUOTED.match(text, place) or _PLAIN.match(text, place)
        assert match
        values.append(match.group(match.lastindex or 0))
        place = match.end()
        if text[place] != ",":
            return values, place
        place += 1


def _meant(escaped: re.Match[str]) -> str:
    meaning = {"n": "\n", "N": "\n", "\\": "\\", ",": ",", ";": ";"}
    return meaning[escaped.group(1)]
