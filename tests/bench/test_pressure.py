"""What the load programs judge by."""

import os

import httpx
import pytest

from bench.memory import memory_mb
from bench.tally import Flatness, Line, Tally, flat_latencies

_URL = "http://127.0.0.1/v1/bookings"


def _answer(status: int, code: str = "", **headers: str) -> httpx.Response:
    body = {"json": {"code": code}} if code else {"text": "Service Unavailable"}
    return httpx.Response(status, headers=headers, request=httpx.Request("POST", _URL), **body)


@pytest.mark.parametrize(
    ("answer", "faulty"),
    [
        (_answer(201, "fine"), False),
        (_answer(409, "slot_unavailable"), False),
        (_answer(429, "too_many_requests"), False),
        (_answer(503, "overloaded", **{"Retry-After": "2"}), False),
        (_answer(503, "overloaded"), True),
        (_answer(503, "something_else", **{"Retry-After": "2"}), True),
        (_answer(503), True),
        (_answer(500, "internal_error"), True),
    ],
)
def test_only_what_is_refused_on_purpose_is_no_fault(answer: httpx.Response, faulty: bool) -> None:
    tally = Tally()
    tally.answered(answer)
    assert bool(tally.faults) == faulty
    assert sum(tally.statuses[0].values()) == 1


def _line(kind: str, minute: int, p95: float, done: int = 100) -> Line:
    return Line(kind=kind, minute=minute, done=done, per_second=done / 60, p50_ms=p95, p95_ms=p95, p99_ms=p95)


def test_the_last_minute_is_held_against_the_second() -> None:
    lines = [_line("book", minute, p95) for minute, p95 in enumerate((900, 100, 120, 160))]
    lines += [_line("rare", minute, p95, done=3) for minute, p95 in enumerate((1, 1, 1, 50))]
    [book] = flat_latencies(lines, minutes=4, most=1.5, fewest=40)
    assert (book.second, book.last, book.kept) == (100, 160, False)
    assert Flatness(what="it", second=100, last=149, most=1.5).kept


def test_memory_that_is_taken_shows() -> None:
    before = memory_mb(os.getpid())
    taken = bytearray(os.urandom(1)) * (50 * 2**20)
    assert memory_mb(os.getpid()) - before > 40
    del taken
