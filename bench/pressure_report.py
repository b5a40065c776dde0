"""What `load`, `overload` and `burst` found, on the terminal, with a verdict."""

from collections import Counter
from collections.abc import Iterable

from rich.console import Console
from rich.table import Table

from bench.burst import BurstResults
from bench.endurance import MOST_OF_OTHERS, WATCHED, EnduranceResults
from bench.memory import OWN
from bench.overload import OverloadResults
from bench.promises import Promise
from bench.tally import Line


def load(console: Console, results: EnduranceResults) -> None:
    console.print(_lines(results.lines))
    console.print(_memory(results))
    seen = sorted(results.seen_by_the_api_ms.items())
    console.print(f"Mean ms until the answer, as the API counts: {', '.join(f'{name} {ms:.0f}' for name, ms in seen)}.")
    before, after = results.storage
    console.print(
        f"On disk: PostgreSQL {before.postgres:.0f} to {after.postgres:.0f} MB, Temporal {before.temporal:.0f} to "
        f"{after.temporal:.0f} MB. Answers: {_counted(results.statuses)}."
    )
    console.print(
        f"Other programs had {results.others:.0%} of the machine; latencies are judged up to {MOST_OF_OTHERS:.0%}."
    )
    for each in results.flatness:
        verdict = _verdict(each.kept) if results.judged(each) else "not judged"
        console.print(
            f"{each.what}: {each.second:.1f} in the second minute, {each.last:.1f} in the last: "
            f"[bold]{each.ratio:.2f}[/], at most {each.most}: {verdict}"
        )
    console.print(
        f"{results.acknowledged} bookings acknowledged, {results.paid} paid; lost or doubled: "
        f"{sum(len(each.booking_ids) for each in results.lost)}: {_verdict(not results.lost)}"
    )
    _faults(console, results.faults)


def overload(console: Console, results: OverloadResults) -> None:
    table = Table("", "asked a second", "held a second", "p50 ms", "p95 ms", "answers", title="Bookings under overload")
    for each in (results.before, results.under, results.after):
        cells = (each.asked_per_second, each.held_per_second, each.p50_ms, each.p95_ms)
        table.add_row(each.name, *(f"{cell:.1f}" for cell in cells), _counted([each.statuses]))
    console.print(table)
    _promises(console, results.promises)
    _faults(console, results.faults)


def burst(console: Console, results: BurstResults) -> None:
    names = list(results.made.cpu_ms)
    title = f"{results.holds} holds, {results.booked_meanwhile} bookings while they end"
    table = Table("", "seconds", "p50 ms", "p95 ms", *(f"CPU of {name}, ms" for name in names), title=title)
    for each in (results.made, results.ended):
        cells = (each.seconds, each.p50_ms, each.p95_ms, *(each.cpu_ms[name] for name in names))
        table.add_row(each.name, *(f"{cell:.1f}" for cell in cells))
    console.print(table)
    _promises(console, results.promises)


def _promises(console: Console, promises: Iterable[Promise]) -> None:
    for each in promises:
        console.print(f"{each.text}: [bold]{each.measured:.2f}[/], {each.wanted}: {_verdict(each.kept)}")


def _lines(lines: Iterable[Line]) -> Table:
    table = Table("kind", "minute", "done", "a second", "p50 ms", "p95 ms", "p99 ms", title="By kind and minute")
    for each in lines:
        cells = (each.per_second, each.p50_ms, each.p95_ms, each.p99_ms)
        table.add_row(each.kind, str(each.minute + 1), str(each.done), *(f"{cell:.1f}" for cell in cells))
    return table


def _memory(results: EnduranceResults) -> Table:
    """The last sample of each minute."""
    table = Table("minute", *WATCHED, OWN, title="Memory in MB (PSS)")
    last = {int(sample.at / 60): sample for sample in results.memory}
    for minute, sample in sorted(last.items()):
        table.add_row(str(minute + 1), *(f"{sample.mb[name]:.0f}" for name in (*WATCHED, OWN)))
    return table


def _counted(statuses: Iterable[dict[str, int]]) -> str:
    total: Counter[str] = Counter()
    for each in statuses:
        total.update(each)
    return ", ".join(f"{status}: {count}" for status, count in sorted(total.items()))


def _faults(console: Console, faults: list[str]) -> None:
    for fault in faults[:5]:
        console.print(f"[red]{fault}[/]", markup=True)
    console.print(f"5xx that are not deliberate, or no answer: {len(faults)}: {_verdict(not faults)}")


def _verdict(good: bool) -> str:
    return "[green]kept[/]" if good else "[red]broken[/]"
