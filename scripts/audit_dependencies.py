"""Asks whether uv.lock names something with a known vulnerability: make audit-deps.

It needs the network: the package index, to get pip-audit into an environment of its own, and a service that knows
vulnerabilities, which is told names and versions of the packages and nothing else. `pypi` (the usual one) is the JSON
API of https://pypi.org, `osv` is https://api.osv.dev. A mirror of the index has packages, but no vulnerabilities.

Exit codes: 0 none is known, 1 there are some (each is listed), 2 nothing can be said, because somebody did not answer.
"""

import argparse
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
UV = Path(sys.executable).with_name("uv")
NONE_KNOWN, VULNERABLE, NOT_DONE = 0, 1, 2
_TELLS = "The names and versions of all packages are in uv.lock; https://osv.dev can be asked by hand as well."


def judge(report: dict[str, Any]) -> tuple[int, list[str]]:
    """What pip-audit's JSON report comes to. It takes a package that it could not look up for a good one; we do not."""
    packages = report["dependencies"]
    found = [_finding(package, each) for package in packages for each in package.get("vulns", [])]
    skipped = [package["name"] for package in packages if "skip_reason" in package]
    lines = [*found, *_not_looked_at(skipped, len(packages))]
    if found:
        return VULNERABLE, lines
    if skipped or not packages:
        return NOT_DONE, lines
    return NONE_KNOWN, [f"{len(packages)} packages, no known vulnerability"]


def _finding(package: dict[str, Any], vulnerability: dict[str, Any]) -> str:
    names = ", ".join([vulnerability["id"], *vulnerability.get("aliases", [])])
    fixed = ", ".join(vulnerability.get("fix_versions", [])) or "no release yet"
    return f"{package['name']} {package['version']}: {names}; mended in {fixed}"


def _not_looked_at(skipped: list[str], total: int) -> list[str]:
    if not skipped:
        return []
    names = ", ".join(skipped[:5]) + (", …" if len(skipped) > 5 else "")
    return [
        f"{len(skipped)} of {total} packages were not looked at, because the service does not know them: {names}",
        "Is a mirror of the package index in the place of https://pypi.org? It cannot say; try SERVICE=osv.",
    ]


def _run(command: list[str], given: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, cwd=ROOT, input=given, capture_output=True, text=True, check=False)  # noqa: S603 - our own words


def _audit(options: list[str]) -> tuple[int, list[str]]:
    locked = _run([str(UV), "export", "--quiet", "--frozen", "--all-groups", "--no-emit-project"])
    environment = [str(UV), "run", "--quiet", "--isolated", "--frozen", "--only-group", "audit-deps", "--"]
    audit = ["pip-audit", "--disable-pip", "--progress-spinner=off", "--format=json", "--requirement=/dev/stdin"]
    done = _run([*environment, *audit, *options], locked.stdout)
    try:
        return judge(json.loads(done.stdout))
    except ValueError:
        last = (done.stderr or locked.stderr).strip().splitlines()[-1:] or ["no reason given"]
        return NOT_DONE, [f"The audit could not be made: {last[0]}", __doc__.split("\n\n")[1], _TELLS]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--service", choices=["pypi", "osv"], default="pypi", help="who is asked (default: pypi)")
    parser.add_argument("--osv-url", help="another address of an OSV service")
    chosen = parser.parse_args()
    options = [f"--vulnerability-service={chosen.service}"]
    code, lines = _audit(options + ([f"--osv-url={chosen.osv_url}"] if chosen.osv_url else []))
    sys.stdout.write("\n".join((*lines, "")))
    return code


if __name__ == "__main__":
    sys.exit(main())
