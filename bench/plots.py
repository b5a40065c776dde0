"""The results as pictures. matplotlib takes a second to import: import this when there is a picture to draw."""

from pathlib import Path

import matplotlib as mpl

from bench.availability import AvailabilityResults
from bench.burst import BurstResults
from bench.endurance import EnduranceResults
from bench.figures import Figures
from bench.flow import FlowResults
from bench.hold import HoldResults
from bench.overload import OverloadResults
from bench.saga import SagaResults

mpl.use("Agg")
from matplotlib import pyplot as plt
from matplotlib.figure import Figure


def hold(results: HoldResults, path: Path) -> None:
    """p50 to p95 (bars) and p99 (marks) of each system at each number of callers, in ms on a logarithmic axis."""
    figure, (latency, throughput) = plt.subplots(1, 2, figsize=(11, 4.5))
    systems = list(dict.fromkeys(each.system for each in results.figures))
    callers = sorted({each.callers for each in results.figures})
    for offset, system in enumerate(systems):
        found = sorted((each for each in results.figures if each.system == system), key=_callers)
        places = [index + (offset - 1) * 0.27 for index in range(len(callers))]
        low = [each.p50_ms for each in found]
        latency.bar(places, [e.p95_ms - e.p50_ms for e in found], 0.25, low, label=f"{system}: p50 to p95")
        latency.plot(places, [each.p99_ms for each in found], "k_", markersize=12)
        throughput.bar(places, [each.per_second for each in found], 0.25, label=system)
    for axes, label in ((latency, "ms (mark: p99)"), (throughput, "calls a second")):
        axes.set(yscale="log", xlabel="callers", ylabel=label)
        axes.set_xticks(range(len(callers)), [str(each) for each in callers])
        axes.legend(fontsize=8)
    _save(figure, f"{results.aim.text}: {results.aim.measured:.2f}", path)


def saga(results: SagaResults, path: Path) -> None:
    """CPU ms of one booking and of one bare saga, stacked by process."""
    figure, axes = plt.subplots(figsize=(6.5, 4.5))
    costs = (results.booking, results.bare)
    names = list(dict.fromkeys(name for each in costs for name in each.cpu_ms))
    bottom = [0.0, 0.0]
    for name in names:
        used = [max(0.0, each.cpu_ms.get(name, 0.0)) for each in costs]
        axes.bar([each.system for each in costs], used, 0.5, bottom, label=name)
        bottom = [below + more for below, more in zip(bottom, used, strict=True)]
    axes.set_ylabel("CPU ms for one")
    axes.legend(fontsize=8)
    _save(figure, f"{results.aim.text}: {results.aim.measured:.2f}", path)


def flow(results: FlowResults, path: Path) -> None:
    """Each figure of ours beside theirs, on an axis of its own."""
    figure, all_axes = plt.subplots(1, len(results.scale), figsize=(11, 4))
    for axes, line in zip(all_axes, results.scale, strict=True):
        axes.bar(["Pitstop", "pretix"], [line.ours, line.theirs], 0.5)
        axes.set(title=line.figure, ylabel=line.unit)
    _save(figure, "For scale", path)


def availability(results: AvailabilityResults, path: Path) -> None:
    """CPU ms of one call (API and PostgreSQL, stacked) and calls a second, at the most callers, by case and table."""
    figure, (cpu, rate) = plt.subplots(1, 2, figsize=(13, 7), sharey=True)
    callers = max(each.callers for each in results.figures)
    found = [each for each in reversed(results.figures) if each.callers == callers]
    names = [each.system for each in found]
    left = [0.0] * len(found)
    for process in found[0].cpu_ms:
        used = [each.cpu_ms[process] for each in found]
        cpu.barh(names, used, left=left, label=process)
        left = [before + more for before, more in zip(left, used, strict=True)]
    rate.barh(names, [each.per_second for each in found], color="gray")
    cpu.set(xlabel="CPU ms a call", xscale="symlog")
    rate.set(xlabel=f"calls a second, {callers} at once", xscale="log")
    cpu.legend(fontsize=8)
    cpu.tick_params(labelsize=7)
    _save(figure, "Availability, by case and number of reservations", path)


def load(results: EnduranceResults, path: Path) -> None:
    """p95 of each kind and memory of each process, over the minutes."""
    figure, (latency, memory) = plt.subplots(1, 2, figsize=(11, 4.5))
    for kind in sorted({line.kind for line in results.lines}):
        lines = [line for line in results.lines if line.kind == kind]
        latency.plot([line.minute + 1 for line in lines], [line.p95_ms for line in lines], "o-", label=kind)
    for name in results.memory[0].mb:
        memory.plot([each.at / 60 for each in results.memory], [each.mb[name] for each in results.memory], label=name)
    latency.set(yscale="log", xlabel="minute", ylabel="p95, ms")
    memory.set(ylim=(0, None), xlabel="minutes", ylabel="MB (PSS)")
    for axes in (latency, memory):
        axes.legend(fontsize=8)
    _save(figure, f"{results.clients} clients, {results.think_seconds:g} s of thought between two calls", path)


def overload(results: OverloadResults, path: Path) -> None:
    """What was asked and what was held, before, under and after."""
    figure, (rate, latency) = plt.subplots(1, 2, figsize=(9, 4))
    spells = (results.before, results.under, results.after)
    names = [each.name for each in spells]
    rate.bar(names, [each.asked_per_second for each in spells], 0.6, color="lightgray", label="asked")
    rate.bar(names, [each.held_per_second for each in spells], 0.4, label="held")
    latency.bar(names, [each.p95_ms for each in spells], 0.4, label="p95 of what was held")
    rate.set_ylabel("bookings a second")
    latency.set_ylabel("ms")
    rate.legend(fontsize=8)
    latency.legend(fontsize=8)
    _save(figure, "Bookings under overload", path)


def burst(results: BurstResults, path: Path) -> None:
    """Latency and CPU of a hold while it is made, and while it ends."""
    figure, (latency, cpu) = plt.subplots(1, 2, figsize=(9, 4))
    spells = (results.made, results.ended)
    names = [each.name for each in spells]
    latency.bar(names, [each.p95_ms for each in spells], 0.5, color="lightgray", label="p95 of a booking")
    latency.bar(names, [each.p50_ms for each in spells], 0.4, label="p50")
    for offset, name in enumerate(results.made.cpu_ms):
        cpu.bar([place + 0.35 * offset for place in range(2)], [each.cpu_ms[name] for each in spells], 0.3, label=name)
    cpu.set_xticks(range(2), names)
    latency.set_ylabel("ms")
    cpu.set_ylabel("CPU ms for one")
    for axes in (latency, cpu):
        axes.legend(fontsize=8)
    _save(figure, f"{results.holds} holds that end together", path)


def _callers(figures: Figures) -> int:
    return figures.callers


def _save(figure: Figure, title: str, path: Path) -> None:
    figure.suptitle(title, fontsize=10)
    figure.tight_layout()
    figure.savefig(path, dpi=130)
    plt.close(figure)
