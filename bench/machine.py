"""What the figures were taken on."""

import os
import platform
from datetime import UTC, datetime
from importlib.metadata import version

from pydantic import BaseModel
from temporalio.api.workflowservice.v1 import GetSystemInfoRequest
from temporalio.client import Client

from bench.seed import superuser

_PACKAGES = ("temporalio", "fastapi", "uvicorn", "asyncpg", "pydantic", "stripe")


class Machine(BaseModel):
    """`load` is the average of the last minute before the run: on a busy machine only ratios mean something."""

    taken_at: datetime
    cores: int
    processor: str
    memory_gb: float
    system: str
    load: float
    python: str
    postgres: str
    temporal: str
    packages: dict[str, str]


async def describe(database_url: str, client: Client) -> Machine:
    async with superuser(database_url) as connection:
        postgres = str(await connection.fetchval("SHOW server_version"))
    info = await client.workflow_service.get_system_info(GetSystemInfoRequest())
    return Machine(
        taken_at=datetime.now(UTC),
        cores=len(os.sched_getaffinity(0)),
        processor=_processor(),
        memory_gb=round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1),
        system=platform.platform(),
        load=os.getloadavg()[0],
        python=platform.python_version(),
        postgres=postgres,
        temporal=info.server_version,
        packages={name: version(name) for name in _PACKAGES},
    )


def _processor() -> str:
    with open("/proc/cpuinfo", encoding="utf-8") as lines:
        names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()
