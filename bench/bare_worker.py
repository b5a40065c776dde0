"""The worker of the bare workflows. Run: python -m bench.bare_worker ADDRESS NAMESPACE; it prints `ready`."""

import asyncio
import signal
import sys

from temporalio.client import Client
from temporalio.worker import Worker

from bench.bare import TASK_QUEUE, BareHold, BareSaga, nothing


async def serve(address: str, namespace: str) -> None:
    """Works until SIGTERM or SIGINT."""
    stop = asyncio.Event()
    for sign in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(sign, stop.set)
    client = await Client.connect(address, namespace=namespace)
    async with Worker(client, task_queue=TASK_QUEUE, workflows=[BareHold, BareSaga], activities=[nothing]):
        print("ready", flush=True)
        await stop.wait()


if __name__ == "__main__":
    asyncio.run(serve(*sys.argv[1:3]))
