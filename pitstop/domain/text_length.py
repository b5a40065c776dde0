"""How long a text message is, in the parts that networks send it in and that are paid for (3GPP TS 23.038)."""

_GSM = frozenset(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?"
    "¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
# Each of these takes two places.
_GSM_EXTENSION = frozenset("\f^{}\\[~]|€")
_GSM_ALONE, _GSM_PART = 160, 153
_UCS2_ALONE, _UCS2_PART = 70, 67


def is_gsm(text: str) -> bool:
    """Whether the text fits the 7-bit alphabet; one character outside of it makes all of them take 16 bits."""
    return set(text) <= _GSM | _GSM_EXTENSION


def parts(text: str) -> int:
    """The number of parts it is sent in; at least one."""
    if is_gsm(text):
        length, alone, part = len(text) + sum(c in _GSM_EXTENSION for c in text), _GSM_ALONE, _GSM_PART
    else:
        length, alone, part = len(text.encode("utf-16-be")) // 2, _UCS2_ALONE, _UCS2_PART
    return 1 if length <= alone else -(-length // part)
