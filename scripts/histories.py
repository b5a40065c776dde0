"""Says what the recorded histories contain, and puts on record that a change of the workflows' code replays them.

.venv/bin/python -m scripts.histories                    writes tests/replay/histories/README.md
.venv/bin/python -m scripts.histories accept "what is new"    replays all, then lists the code in versions.json
.venv/bin/python -m scripts.histories check              fails if the code is not listed
"""

import asyncio
import json
import sys

from pitstop.release import RELEASE, workflow_code
from tests.support.histories import FOLDER, contents, load, recorded, replay

VERSIONS = FOLDER.parent / "versions.json"
WHAT_TO_DO = """The workflows' code has changed, and nobody has said that bookings under way can go on with it.
If a booking that is open now would take other steps than before (another step, name, order or timer), put the change
behind workflow.patched("…"): docs/upgrading.md says how. Then, with one line for those who read it later:
    .venv/bin/python -m scripts.histories accept "what has changed"
It replays every recorded history first. Comments and layout do not count as changes."""


def is_on_record() -> bool:
    """Whether the present code is the newest that was accepted."""
    return bool(_versions()[-1]["code"] == workflow_code())


def _versions() -> list[dict[str, str]]:
    versions: list[dict[str, str]] = json.loads(VERSIONS.read_text(encoding="utf-8"))
    return versions


async def _replay_all() -> None:
    for path in recorded():
        await replay(load(path))


def accept(change: str) -> None:
    """Raises what replay raises when a booking under way could not go on."""
    asyncio.run(_replay_all())
    versions = [*_versions(), {"after": RELEASE, "code": workflow_code(), "change": change}]
    VERSIONS.write_text(json.dumps(versions, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def main(command: str = "", change: str = "") -> None:
    if command == "accept" and change:
        accept(change)
    elif command == "check":
        sys.exit(None if is_on_record() else WHAT_TO_DO)
    elif command:
        sys.exit(__doc__)
    (FOLDER / "README.md").write_text(contents(), encoding="utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:3])
