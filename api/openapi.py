"""The OpenAPI document: what FastAPI finds out by itself, and how problems look, which it cannot know."""

from typing import Any

from fastapi import FastAPI

from api import examples
from api.problems import ProblemBody

_REF = "#/components/schemas/{model}"
# Every call there is counted; which limits there are is said in docs/limits.md.
_LIMITED = ("/v1/", "/webhooks/")
_NOT_OURS = ("HTTPValidationError", "ValidationError")


def problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The refusals of an operation, for its `responses`."""
    return {status: _problem(status) for status in statuses}


def _problem(status: int) -> dict[str, Any]:
    content = {"schema": {"$ref": _REF.format(model="ProblemBody")}, "example": examples.problem(status)}
    return {"description": examples.PROBLEMS[status][1], "content": {"application/problem+json": content}}


def _rate_limited() -> dict[str, Any]:
    after = {"description": "Seconds to wait.", "schema": {"type": "integer"}, "example": 1}
    return _problem(429) | {"headers": {"Retry-After": after}}


def install(app: FastAPI) -> None:
    """Completes the document when it is first asked for."""
    generate = app.openapi

    def complete() -> dict[str, Any]:
        if app.openapi_schema is None:
            _complete(generate())
        return generate()

    app.openapi = complete  # type: ignore[method-assign]


def _complete(document: dict[str, Any]) -> None:
    schemas: dict[str, Any] = document["components"]["schemas"]
    problem = ProblemBody.model_json_schema(ref_template=_REF)
    schemas |= problem.pop("$defs") | {"ProblemBody": problem}
    for name in _NOT_OURS:
        schemas.pop(name, None)
    for path, operations in document["paths"].items():
        for operation in operations.values():
            if path.startswith(_LIMITED):
                operation["responses"]["429"] = _rate_limited()
            if "HTTPValidationError" in str(operation["responses"].get("422")):
                del operation["responses"]["422"]
