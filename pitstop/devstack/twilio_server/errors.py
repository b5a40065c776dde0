"""Errors as Twilio writes them: an HTTP status, and a code from its error dictionary."""

from typing import Any

Json = dict[str, Any]


class TwilioError(Exception):
    """A refusal. `code` is the dictionary's (https://www.twilio.com/docs/api/errors)."""

    def __init__(self, status: int, code: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.body: Json = {
            "code": code,
            "message": message,
            "more_info": f"https://www.twilio.com/docs/errors/{code}",
            "status": status,
        }


def unauthenticated() -> TwilioError:
    return TwilioError(401, 20003, "Authenticate")


def not_found(path: str) -> TwilioError:
    return TwilioError(404, 20404, f"The requested resource {path} was not found")


def too_many() -> TwilioError:
    return TwilioError(429, 20429, "Too Many Requests")


def internal() -> TwilioError:
    return TwilioError(500, 20500, "An internal server error has occurred")
