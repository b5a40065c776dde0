"""The short form of `make chaos`: everything is broken once on a stack of its own, and nothing is lost or doubled."""

from chaos import plan, soak
from chaos.stack import running_stack

BOOKINGS = 30
SECONDS = 30.0
SEED = 4


async def test_bookings_under_faults() -> None:
    """No times are looked at: however slow the machine, all comes to rest and everything is right."""
    order = soak.Order(plan.make(SEED, BOOKINGS, SECONDS, quick=True), SECONDS, soak.SHORT)
    with running_stack(soak.SHORT.settings()) as stack:
        results = await soak.run(stack, order, lambda _: None)
    assert results.restless == []
    assert results.violations == []
    assert results.clean, results.audit
    assert {name.split()[0] for name in results.faults} == {"kill", "SIGSTOP", "stripe", "webhooks", "mail"}
    assert {"completed", "confirmed", "expired"} <= results.endings.keys()
