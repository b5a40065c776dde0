"""What `availability` found, on the terminal."""

from rich.console import Console
from rich.table import Table

from bench import report
from bench.availability import AvailabilityResults
from bench.availability_site import Size


def show(console: Console, results: AvailabilityResults) -> None:
    console.print(_sizes(results.sizes))
    console.print(report.figures("Through HTTP", results.figures))
    console.print(report.figures("The statement alone", results.alone))
    console.print(report.ratios(results.ratios))
    console.print(f"Load of the machine: {results.machine.load:.1f} before, {results.load_after:.1f} after.")
    for aim in results.aims:
        report.aim(console, aim)


def _sizes(sizes: list[Size]) -> Table:
    names = list(sizes[0].bytes)
    table = Table("reservations", *names, title="MB")
    for size in sizes:
        table.add_row(f"{size.reservations:,}", *(f"{size.bytes[name] / 2**20:.1f}" for name in names))
    return table
