"""The bench of availability in small: every case is answered on every table, and shows the plans of what it runs."""

from rich.console import Console

from bench import availability, availability_report
from bench.availability import CALLERS, Extent
from bench.searches import SELECT_ONE, TWO_WEEKS
from pitstop.devstack.stackfile import Stack


async def test_every_case_is_measured_on_every_table(stack: Stack) -> None:
    extent = Extent(sizes=(500, 1000), rounds=1, seconds=0.03, crowds=(5,), warm=16)
    console = Console(quiet=True)
    results = await availability.measure(stack, extent, console)
    availability_report.show(console, results)
    cases = len(results.plans)
    assert len(results.figures) == cases * len(extent.sizes) * len(CALLERS)
    assert len(results.alone) == cases * len(extent.sizes)
    assert all(figures.calls for figures in (*results.figures, *results.alone))
    assert [round(size.reservations, -2) for size in results.sizes] == [500, 1000]
    assert {aim.wanted for aim in results.aims} == {1.2, 2.0}
    search = "\n".join(results.plans[TWO_WEEKS])
    assert "slot_reservations" in search
    assert "Buffers:" in search
    assert "slot_reservations" not in "\n".join(results.plans[SELECT_ONE])
