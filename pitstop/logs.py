"""The logs of worker and API, without what must not be in them.

What we log is ids and codes. What libraries log on a bad day is not ours to word: tracebacks end in texts of others,
which quote rows, addresses, links and keys. So every line is looked over where it is written.
"""

import logging
import re
from collections.abc import Callable, Iterable

FORMAT = "%(asctime)s %(levelname)s %(name)s %(message)s"
_GONE = "(withheld)"
_PATTERNS: tuple[tuple[re.Pattern[str], str | Callable[[re.Match[str]], str]], ...] = (
    # PostgreSQL quotes the row that failed (asyncpg shows it as DETAIL), pydantic and FastAPI the input.
    (re.compile(r"^(\s*DETAIL: ).*$", re.MULTILINE), rf"\1{_GONE}"),
    (re.compile(r"(input_value=).*?(, input_type=)", re.DOTALL), rf"\1{_GONE}\2"),
    (re.compile(r"('input': ).*$", re.MULTILINE), rf"\1{_GONE}"),
    # Secrets by their shape: Stripe's keys and client secrets, JSON web tokens, credentials in headers and URLs.
    (re.compile(r"\b((?:sk|rk|whsec)_)\w+"), rf"\1{_GONE}"),
    (re.compile(r"\b(p[im]_\w+?_secret_)\w+"), rf"\1{_GONE}"),
    (re.compile(r"\beyJ[\w-]+\.[\w-]*(?:\.[\w-]*)?"), _GONE),
    (re.compile(r"\b(Bearer|Basic) [\w.~+/=-]+", re.IGNORECASE), rf"\1 {_GONE}"),
    (re.compile(r"([?&]token=)[^&\s\"']+"), rf"\1{_GONE}"),
    (re.compile(r"(://[^:/@\s]+:)[^@/\s]+@"), rf"\1{_GONE}@"),
    # People: mail addresses, telephone numbers, card numbers.
    (re.compile(r"[^\s<>\"'(),:;=\[\]]+@[\w.-]+\.\w+"), _GONE),
    (re.compile(r"(?<![\w.+-])\+[1-9]\d{6,14}\b"), _GONE),
    (
        re.compile(r"(?<![\w.-])\d(?:[ -]?\d){12,18}(?![\w-]|\.\d)"),
        lambda match: _GONE if _is_card(match[0]) else match[0],
    ),
)


def _without_card(number: str) -> str:
    return _GONE if _is_card(number) else number


def _is_card(number: str) -> bool:
    """By its check digit (ISO/IEC 7812-1, Luhn)."""
    digits = [int(digit) for digit in number if digit.isdigit()][::-1]
    doubled = [sum(divmod(2 * digit, 10)) for digit in digits[1::2]]
    return (sum(digits[::2]) + sum(doubled)) % 10 == 0


def redacted(text: str) -> str:
    """The text without secrets, addresses, telephone and card numbers, and the rows and inputs that errors quote."""
    for pattern, instead in _PATTERNS:
        text = pattern.sub(instead, text)
    return text


class RedactingFormatter(logging.Formatter):
    """Formats as the other formatter does, tracebacks included, and looks over the whole."""

    def __init__(self, inner: logging.Formatter) -> None:
        super().__init__()
        self._inner = inner

    def format(self, record: logging.LogRecord) -> str:
        return redacted(self._inner.format(record))


def configure(quiet: Iterable[str]) -> None:
    """Logs to stderr; of the `quiet` ones warnings only. What uvicorn has set up before is looked over, too."""
    logging.basicConfig(level=logging.INFO, format=FORMAT)
    for name in quiet:
        logging.getLogger(name).setLevel(logging.WARNING)
    for logger in (logging.getLogger(), *map(logging.getLogger, ("uvicorn", "uvicorn.error", "uvicorn.access"))):
        for handler in logger.handlers:
            if not isinstance(handler.formatter, RedactingFormatter):
                handler.setFormatter(RedactingFormatter(handler.formatter or logging.Formatter(FORMAT)))
