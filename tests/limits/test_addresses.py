"""Where a call comes from: nobody is believed but the proxies that are configured."""

import pytest
from fastapi import Request
from pydantic import ValidationError

from api.addresses import UNKNOWN, address_of, network_of, parsed
from pitstop.settings import Settings

PROXY = "10.0.0.7"


def _address(
    peer: str | None, *lines: str, proxies: str = "10.0.0.0/8", header: str = "X-Forwarded-For", sent_as: str = ""
) -> str:
    name = (sent_as or header).lower().encode()
    headers = [(name, line.encode("latin-1")) for line in lines]
    scope = {"type": "http", "headers": headers, "client": (peer, 4711) if peer else None}
    settings = Settings.model_validate({"trusted_proxies": proxies, "forwarded_header": header})
    return str(address_of(Request(scope), settings))


@pytest.mark.parametrize(
    ("peer", "lines", "expected"),
    [
        ("203.0.113.9", (), "203.0.113.9"),
        # Invented: the peer is no proxy of ours, so whatever it says counts for nothing.
        ("203.0.113.9", ("198.51.100.1",), "203.0.113.9"),
        ("203.0.113.9", ("10.0.0.1, 127.0.0.1",), "203.0.113.9"),
        (PROXY, (), PROXY),
        (PROXY, ("198.51.100.1",), "198.51.100.1"),
        # What the client itself sent stands to the left of what the proxy has added.
        (PROXY, ("8.8.8.8, 198.51.100.1",), "198.51.100.1"),
        (PROXY, ("8.8.8.8", "198.51.100.1"), "198.51.100.1"),
        (PROXY, ("198.51.100.1, 10.1.1.1", "10.2.2.2"), "198.51.100.1"),
        (PROXY, ("8.8.8.8, 10.1.1.1, 198.51.100.1, 10.2.2.2",), "198.51.100.1"),
        # All of them are ours: the call comes from the first of them.
        (PROXY, ("10.1.1.1, 10.2.2.2",), "10.1.1.1"),
        (PROXY, ("198.51.100.1:51234",), "198.51.100.1"),
        (PROXY, ("2001:db8::1",), "2001:db8::1"),
        (PROXY, ("[2001:db8::1]",), "2001:db8::1"),
        (PROXY, ("[2001:db8::1]:443",), "2001:db8::1"),
        (PROXY, ("fe80::1%eth0",), "fe80::1"),
        (PROXY, ("::ffff:198.51.100.1",), "198.51.100.1"),
        ("::ffff:10.0.0.7", ("198.51.100.1",), "198.51.100.1"),
        # What is no address ends the search at the hop that has sent it.
        *((PROXY, (f"8.8.8.8, {junk}",), PROXY) for junk in ("unknown", "", "_hidden", "1.2.3", "999.1.1.1", "\xe9")),
        *((PROXY, (f"8.8.8.8, {junk}",), PROXY) for junk in ("[::1", "[::1]x", "1.2.3.4:x", "1.2.3.4:٣", "a" * 9000)),
        (PROXY, ("8.8.8.8, junk, 10.2.2.2",), "10.2.2.2"),
        (PROXY, (", ".join(["8.8.8.8", *["10.0.0.1"] * 9]),), "8.8.8.8"),
        (PROXY, (", ".join(["8.8.8.8", *["10.0.0.1"] * 10]),), "10.0.0.1"),
        (None, ("8.8.8.8",), str(UNKNOWN)),
        ("unix:", ("8.8.8.8",), str(UNKNOWN)),
    ],
)
def test_who_calls(peer: str | None, lines: tuple[str, ...], expected: str) -> None:
    if any("٣" in line for line in lines):
        lines = tuple(line.replace("٣", "\xb3") for line in lines)
    assert _address(peer, *lines) == expected


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("for=198.51.100.1;proto=https;by=10.0.0.7", "198.51.100.1"),
        ('for=8.8.8.8, FOR="[2001:db8::1]:443"', "2001:db8::1"),
        ("for=198.51.100.1, for=10.1.1.1", "198.51.100.1"),
        ("for=8.8.8.8, proto=https", PROXY),
        ("for=8.8.8.8;for=9.9.9.9", PROXY),
        ("for=_hidden", PROXY),
    ],
)
def test_the_header_of_rfc_7239(line: str, expected: str) -> None:
    assert _address(PROXY, line, header="Forwarded") == expected


def test_only_the_header_that_the_proxies_write_is_read() -> None:
    """A proxy that writes one of the two passes the other on, as the client has invented it."""
    assert _address(PROXY, "8.8.8.8", header="Forwarded", sent_as="X-Forwarded-For") == PROXY
    assert _address(PROXY, "for=8.8.8.8", sent_as="Forwarded") == PROXY


def test_nobody_is_trusted_unless_configured() -> None:
    assert Settings.model_validate({}).proxy_networks == ()
    assert _address("127.0.0.1", "8.8.8.8", proxies="") == "127.0.0.1"
    assert _address("127.0.0.1", "8.8.8.8", proxies="::1, 127.0.0.1") == "8.8.8.8"


@pytest.mark.parametrize("text", ["localhost", "10.0.0.1/8", "10.0.0.0/33", "*", "10.0.0.0/8 127.0.0.1"])
def test_proxies_that_are_none_are_refused(text: str) -> None:
    with pytest.raises(ValidationError):
        Settings.model_validate({"trusted_proxies": text})


def test_what_counts_as_one_address() -> None:
    def network(text: str) -> str:
        address = parsed(text)
        assert address is not None
        return network_of(address)

    assert network("198.51.100.1") != network("198.51.100.2")
    assert network("2001:db8:0:1::1") == network("2001:db8:0:1:ffff:ffff:ffff:ffff") == "2001:db8:0:1::/64"
    assert network("2001:db8:0:1::1") != network("2001:db8:0:2::1")
