"""Which release this is, and which version of the workflows' code it has."""

import ast
import hashlib
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

RELEASE = "0.2.0"
_ROOT = Path(__file__).parents[1]
# All that decides which commands a workflow gives: what import-linter lets workflows import.
_WORKFLOW_CODE = ("workflows", "pitstop/contracts", "pitstop/domain")
# Of a syntax tree: what says where something stands, not what it does.
_NOT_MEANT = ("lineno", "col_offset", "end_lineno", "end_col_offset", "type_comment", "kind", "ctx")


def default_build_id() -> str:
    """The release and, after it, the workflows' code: `0.2.0-3f9c2a7d10`. It is the same wherever the code is."""
    return f"{RELEASE}-{workflow_code()[:10]}"


@cache
def workflow_code() -> str:
    """A digest (hex) of what the workflows' code does: comments, docstrings and layout do not change it."""
    return digest(path for folder in _WORKFLOW_CODE for path in sorted((_ROOT / folder).rglob("*.py")))


def digest(paths: Iterable[Path]) -> str:
    """The digest of these modules, whichever Python runs: empty fields, of which newer ones have more, do not count."""
    found = hashlib.sha256()
    for path in paths:
        found.update(f"{path.parent.name}/{path.name}\n".encode())
        for line in _meaning(ast.parse(path.read_text(encoding="utf-8"))):
            found.update(f"{line}\n".encode())
    return found.hexdigest()


def _meaning(node: Any, depth: int = 0) -> Iterator[str]:
    if not isinstance(node, ast.AST):
        yield f"{depth} {node!r}"
        return
    yield f"{depth} {type(node).__name__}"
    for name, value in ast.iter_fields(node):
        if name in _NOT_MEANT or value in (None, []):
            continue
        yield f"{depth} .{name}"
        for each in value if isinstance(value, list) else [value]:
            if not _is_docstring(each):
                yield from _meaning(each, depth + 1)


def _is_docstring(node: Any) -> bool:
    """A text that stands alone: it does nothing."""
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
