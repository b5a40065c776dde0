"""The results as a person reads them. The same figures stand in the JSON beside them."""

from collections import Counter
from collections.abc import Mapping

from rich.console import Console
from rich.table import Table

from chaos.points import PointResults
from chaos.recovery import RecoveryResults
from chaos.soak import Results

_MOST_SHOWN = 40


def soak(console: Console, results: Results) -> None:
    console.print(_counted("fault injected", "times", results.faults))
    console.print(_counted("booking of the kind", "customers", results.bookings))
    console.print(_counted("where the bookings are at rest", "bookings", results.endings))
    console.print(_counted("what came about with them", "times", results.deeds))
    console.print(_counted("answer to POST /v1/bookings", "times", results.answers))
    console.print(_spans(results))
    for line in results.restless[:_MOST_SHOWN]:
        console.print(f"[red]not at rest:[/] {line}")
    for found in results.violations[:_MOST_SHOWN]:
        console.print(f"[red]{found.invariant}[/] {found.booking_id or ''} {found.found}")
    console.print(_verdict(results))


def points(console: Console, results: PointResults) -> None:
    counts = Counter((death.side, death.scenario) for death in results.deaths)
    table = Table("who dies", "scenario", "deaths", "not reached", "went wrong")
    for (side, scenario), count in counts.items():
        deaths = [death for death in results.deaths if (death.side, death.scenario) == (side, scenario)]
        missed = sum(not death.died for death in deaths)
        table.add_row(side, scenario, str(count), str(missed), str(sum(death.wrong is not None for death in deaths)))
    console.print(table)
    for death in results.deaths:
        if death.wrong or not death.died:
            console.print(f"[red]{death.side}, {death.scenario}, {death.point}:[/] {death.wrong or 'not reached'}")
    for found in results.violations[:_MOST_SHOWN]:
        console.print(f"[red]{found.invariant}[/] {found.booking_id or ''} {found.found}")
    colour = "green" if results.clean else "red"
    console.print(f"[{colour}]{len(results.deaths)} deaths, {len(results.violations)} violations[/]")


def recovery(console: Console, results: RecoveryResults) -> None:
    table = Table("the worker dies", "workers", "tries", "p50 s", "p95 s", "ratio p50", "ratio p95")
    for each in results.figures:
        figures = (f"{each.p50:.2f}", f"{each.p95:.2f}", f"{each.ratio_p50:.1f}", f"{each.ratio_p95:.1f}")
        table.add_row(each.moment, each.mode, str(each.tries), *figures)
    console.print(table)
    console.print(f"[dim]{results.settings}[/]")


def _verdict(results: Results) -> str:
    colour = "green" if results.clean else "red"
    audit = "no audit here" if results.audit is None else f"the audit finds {_findings(results.audit)}"
    return (
        f"[{colour}]{sum(results.faults.values())} faults, {sum(results.bookings.values())} bookings, "
        f"{len(results.violations)} violations[/]; {audit}; {results.minutes} min, seed {results.seed}"
        + (f"; {results.left_out} planned kills and pauses left out for lack of time" if results.left_out else "")
    )


def _findings(audit: Mapping[str, object]) -> str:
    findings = audit.get("findings")
    return f"{len(findings)} discrepancies: {findings[:5]}" if isinstance(findings, list) and findings else "nothing"


def _counted(what: str, unit: str, counts: Mapping[str, int]) -> Table:
    table = Table(what, unit)
    table.columns[1].justify = "right"
    for name, count in counts.items():
        table.add_row(name.replace("None", "none (connection lost, or given up)"), str(count))
    table.add_section()
    table.add_row("all", str(sum(counts.values())))
    return table


def _spans(results: Results) -> Table:
    table = Table("seconds", "calm: n", "p50", "p95", "under faults: n", "p50", "p95", "ratio p50", "ratio p95")
    for span in results.spans:
        calm = (str(span.calm), f"{span.calm_p50:.2f}", f"{span.calm_p95:.2f}")
        faulty = (str(span.faulty), f"{span.faulty_p50:.2f}", f"{span.faulty_p95:.2f}")
        table.add_row(span.what, *calm, *faulty, f"{span.ratio_p50:.1f}", f"{span.ratio_p95:.1f}")
    return table
