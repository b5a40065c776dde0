"""The SQL of the product: named, commented blocks in `sql/*.sql`, loaded once."""

import re
from functools import cache
from pathlib import Path

_FOLDER = Path(__file__).with_name("sql")
_NAME = re.compile(r"^-- name: (\w+)\s*$", re.MULTILINE)


@cache
def load(module: str, folder: Path = _FOLDER) -> dict[str, str]:
    """The blocks of `sql/<module>.sql` by name. A name that stands twice is a mistake and raises `ValueError`."""
    text = (folder / f"{module}.sql").read_text(encoding="utf-8")
    parts = _NAME.split(text)[1:]
    names, bodies = parts[::2], parts[1::2]
    if len(set(names)) != len(names):
        raise ValueError(f"sql/{module}.sql names a block twice")
    return {name: body.strip() for name, body in zip(names, bodies, strict=True)}


def modules() -> list[str]:
    return sorted(path.stem for path in _FOLDER.glob("*.sql"))
