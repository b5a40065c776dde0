"""The results on the terminal. The columns are those of the JSON beside them."""

from collections.abc import Iterable

from rich.console import Console
from rich.table import Table

from bench.figures import Figures, Ratio
from bench.flow import FlowResults
from bench.hold import Aim, HoldResults
from bench.machine import Machine
from bench.saga import Cost, SagaResults


def machine(console: Console, facts: Machine) -> None:
    console.print(
        f"{facts.cores} cores ({facts.processor}), load {facts.load:.1f} before the run, Python {facts.python}, "
        f"PostgreSQL {facts.postgres}, Temporal {facts.temporal}"
    )


def hold(console: Console, results: HoldResults) -> None:
    console.print(figures("A hold, a bare workflow, a bare INSERT", results.figures))
    console.print(ratios(results.ratios))
    aim(console, results.aim)


def saga(console: Console, results: SagaResults) -> None:
    costs = (results.booking, results.bare)
    console.print(_costs(costs))
    console.print(_events(costs))
    tasks = results.workflow_tasks_of_bookings
    console.print(
        f"Workflow tasks of {len(tasks)} bookings: {tasks[0]} to {tasks[-1]}, {results.tasks_timed_out} timed out. "
        f"Mails for each: {results.mails:.2f}. Bare sagas, by batch: {_listed(results.bare_by_batch_ms, '.0f')} ms."
    )
    aim(console, results.aim)


def flow(console: Console, results: FlowResults) -> None:
    console.print(figures("The paid flow", results.figures))
    table = Table("", "unit", "Pitstop", "pretix", title="For scale")
    for line in results.scale:
        table.add_row(line.figure, line.unit, f"{line.ours:.1f}", f"{line.theirs:g}")
    console.print(table)


def figures(title: str, found: Iterable[Figures]) -> Table:
    table = Table("callers", "system", "calls", "p50 ms", "p95 ms", "p99 ms", "a second", "CPU ms a call", title=title)
    for each in sorted(found, key=lambda each: each.callers):
        cells = (each.p50_ms, each.p95_ms, each.p99_ms, each.per_second)
        table.add_row(
            str(each.callers),
            each.system,
            str(each.calls),
            *(f"{cell:.1f}" for cell in cells),
            _by_process(each.cpu_ms),
        )
    return table


def ratios(found: Iterable[Ratio]) -> Table:
    table = Table("callers", "figure", "of", "as a multiple of", "ratio", "by round", title="Ratios")
    for each in found:
        rounds = _listed(sorted(each.by_round), ".2f")
        table.add_row(str(each.callers), each.figure, each.of, each.to, f"[bold]{each.ratio:.2f}[/]", rounds)
    return table


def _costs(costs: Iterable[Cost]) -> Table:
    table = Table("", "count", "CPU ms", "by process", "workflow tasks", "history events", title="A whole booking")
    for each in costs:
        table.add_row(
            each.system,
            str(each.count),
            f"{each.total_ms:.1f}",
            _by_process(each.cpu_ms),
            str(each.workflow_tasks),
            str(each.history_events),
        )
    return table


def _events(costs: tuple[Cost, Cost]) -> Table:
    table = Table("event", *(each.system for each in costs), title="History events")
    for name in sorted({name for each in costs for name in each.events}):
        table.add_row(name, *(str(each.events.get(name, 0)) for each in costs))
    return table


def aim(console: Console, found: Aim) -> None:
    verdict = "[green]met[/]" if found.met else "[red]missed[/]"
    console.print(f"{found.text}: [bold]{found.measured:.2f}[/], aim {found.wanted} at most: {verdict}")


def _by_process(cpu_ms: dict[str, float]) -> str:
    return ", ".join(f"{name} {used:.1f}" for name, used in cpu_ms.items())


def _listed(values: Iterable[float], form: str) -> str:
    return " ".join(format(value, form) for value in values)
