"""The demo's booking."""

from pitstop.devstack.stackfile import Stack


async def run(stack: Stack) -> None:
    return None
