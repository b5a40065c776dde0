"""Answers and errors in Stripe's shape (API reference, "Errors"; docs page "Error codes")."""

from dataclasses import dataclass, field
from typing import Any

Json = dict[str, Any]

DOC_URL = "https://stripe.com/docs/error-codes/"


@dataclass(frozen=True, slots=True)
class Answer:
    """An HTTP status, a JSON body and headers of its own."""

    status: int
    body: Json
    headers: dict[str, str] = field(default_factory=dict)


class StripeError(Exception):
    """A refusal. Raised before anything was written."""

    def __init__(self, status: int, message: str, *, type_: str = "invalid_request_error", **details: object) -> None:
        super().__init__(message)
        self.answer = error_answer(status, message, type_=type_, **details)


def error_answer(status: int, message: str, *, type_: str = "invalid_request_error", **details: object) -> Answer:
    """`details` are the error's other members (`code`, `param`, `payment_intent`…); None leaves one out."""
    error: Json = {"message": message, "type": type_} | {
        name: value for name, value in details.items() if value is not None
    }
    if "code" in error:
        error["doc_url"] = DOC_URL + str(error["code"]).replace("_", "-")
    return Answer(status, {"error": error})


def missing(param: str) -> StripeError:
    return StripeError(400, f"Missing required param: {param}.", code="parameter_missing", param=param)


def no_such(kind: str, identifier: str, param: str) -> StripeError:
    return StripeError(404, f"No such {kind}: '{identifier}'", code="resource_missing", param=param)


def unexpected_state(message: str, intent: Json) -> StripeError:
    return StripeError(400, message, code="payment_intent_unexpected_state", payment_intent=intent)


def unknown_url(method: str, path: str) -> StripeError:
    return StripeError(404, f"Unrecognized request URL ({method}: {path}). Please see https://stripe.com/docs.")


def internal_error() -> StripeError:
    return StripeError(500, "An unknown error occurred", type_="api_error")


def rate_limited() -> StripeError:
    return StripeError(429, "Request rate limit exceeded.", code="rate_limit")
