"""docker-compose.yml as Docker Compose reads it: merge keys resolved, each `${NAME:?hint}` and `${NAME-}` filled in."""

import re
from collections.abc import Mapping
from typing import Any

import yaml

from pitstop.devstack.names import ROOT

_VARIABLE = re.compile(r"\$\{(?P<name>\w+)(:\?(?P<hint>[^}]*)|-)\}")


def services(values: Mapping[str, str]) -> dict[str, Any]:
    """The services. `LookupError` for a variable that is needed and not in `values`, or empty there."""
    text = _filled((ROOT / "docker-compose.yml").read_text(), values)
    read: dict[str, Any] = yaml.safe_load(text)["services"]
    for service in read.values():
        service["environment"] = {name: str(value) for name, value in service.get("environment", {}).items()}
    return read


def asked_for() -> set[str]:
    """The names of all variables in the file."""
    return {match["name"] for match in _VARIABLE.finditer((ROOT / "docker-compose.yml").read_text())}


def optional() -> set[str]:
    """Those that may stay empty."""
    found = _VARIABLE.finditer((ROOT / "docker-compose.yml").read_text())
    return {match["name"] for match in found if match["hint"] is None}


def example() -> dict[str, str]:
    """.env.example, as it is."""
    lines = (ROOT / ".env.example").read_text().splitlines()
    return dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))


def _filled(text: str, values: Mapping[str, str]) -> str:
    def fill(match: re.Match[str]) -> str:
        if not (value := values.get(match["name"], "")) and match["hint"] is not None:
            raise LookupError(f"{match['name']}: {match['hint']}")
        return value

    return _VARIABLE.sub(fill, text)
