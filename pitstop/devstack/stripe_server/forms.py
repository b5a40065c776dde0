"""Reads Stripe's form encoding (`card[exp_month]=12`, `expand[]=…`) and checks it against what an operation takes.

Errors are Stripe's: `parameter_unknown`, `parameter_missing`, `parameter_invalid_empty`, `parameter_invalid_integer`.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from pitstop.devstack.stripe_server.errors import Json, StripeError, missing

Reader = Callable[[str, object], object]
"""Turns a raw value (text, or a dict for a nested one) of the named parameter into its checked value."""


def parse_form(pairs: Iterable[tuple[str, str]]) -> Json:
    """Nested dicts of text. `a[]` is numbered as it comes, so lists are dicts whose keys are numbers."""
    tree: Json = {}
    for name, value in pairs:
        head, *rest = name.replace("]", "").split("[")
        node, key = tree, head
        for part in rest:
            child = node.setdefault(key, {})
            if not isinstance(child, dict):
                raise StripeError(400, f"Invalid parameter: {name}", param=name)
            node, key = child, part or str(len(child))
        node[key] = value
    return tree


def _text_of(name: str, raw: object) -> str:
    if not isinstance(raw, str):
        raise StripeError(400, f"Invalid string: {raw}", param=name)
    return raw


def text(longest: int = 5000) -> Reader:
    """At most so many characters; the empty text unsets, and becomes None."""

    def read(name: str, raw: object) -> str | None:
        value = _text_of(name, raw)
        if len(value) > longest:
            message = f"Invalid string: must be at most {longest} characters"
            raise StripeError(400, message, code="parameter_invalid_string_too_long", param=name)
        return value or None

    return read


def integer(least: int = 0) -> Reader:
    """A whole number from `least` to 99,999,999, the largest amount Stripe takes."""

    def read(name: str, raw: object) -> int:
        value = _text_of(name, raw)
        if not value:
            message = (
                f"You passed an empty string for '{name}'. We assume empty values are an attempt to unset a parameter"
            )
            raise StripeError(400, message, code="parameter_invalid_empty", param=name)
        digits = value.removeprefix("-")
        if not (digits.isascii() and digits.isdigit()) or len(digits) > 18:
            raise StripeError(400, f"Invalid integer: {value}", code="parameter_invalid_integer", param=name)
        if int(value) < least:
            message = f"This value must be greater than or equal to {least}."
            raise StripeError(400, message, code="parameter_invalid_integer", param=name)
        return int(value)

    return read


def flag(name: str, raw: object) -> bool:
    value = _text_of(name, raw)
    if value not in {"true", "false", "True", "False"}:
        raise StripeError(400, f"Invalid boolean: {value}", param=name)
    return value.lower() == "true"


def choice(*allowed: str) -> Reader:
    def read(name: str, raw: object) -> str:
        value = _text_of(name, raw)
        if value not in allowed:
            raise StripeError(400, f"Invalid {name}: must be one of {', '.join(allowed)}", param=name)
        return value

    return read


def strings(name: str, raw: object) -> list[str]:
    if not isinstance(raw, dict):
        raise StripeError(400, "Invalid array", param=name)
    return [_text_of(name, value) for value in raw.values()]


def metadata(name: str, raw: object) -> dict[str, str]:
    """Up to 50 pairs, keys of 40 characters, values of 500 (API reference, "Metadata"); an empty value unsets its key.
    The whole may be the empty text, which unsets all; that is `{"": ""}` here."""
    if raw == "":
        return {"": ""}
    if not isinstance(raw, dict) or len(raw) > 50:
        raise StripeError(400, "Invalid metadata: it takes up to 50 key-value pairs", param=name)
    for key, value in raw.items():
        if len(key) > 40 or len(_text_of(f"{name}[{key}]", value)) > 500:
            raise StripeError(400, "Metadata keys have up to 40 characters, values up to 500", param=f"{name}[{key}]")
    return dict(raw)


def unmodelled(name: str, raw: object) -> object:
    """Accepted as Stripe accepts it, kept nowhere: it has no bearing on what is modelled."""
    return raw


@dataclass(frozen=True)
class Group:
    """The parameters of an operation, or of a nested hash."""

    fields: Mapping[str, Reader]
    required: tuple[str, ...] = field(default=())

    def __call__(self, name: str, raw: object) -> Json:
        if not isinstance(raw, dict):
            raise StripeError(400, "Invalid object", param=name)
        return self.read(raw, name)

    def read(self, raw: Json, inside: str = "") -> Json:
        """The checked values of what was given. Raises `StripeError` for the first fault."""
        for key in raw:
            if key not in self.fields:
                full = _path(inside, key)
                raise StripeError(400, f"Received unknown parameter: {full}", code="parameter_unknown", param=full)
        for key in self.required:
            if key not in raw:
                raise missing(_path(inside, key))
        return {key: self.fields[key](_path(inside, key), value) for key, value in raw.items()}


def _path(inside: str, key: str) -> str:
    return f"{inside}[{key}]" if inside else key
