"""Where a call comes from: the peer of the connection, or whom a trusted proxy names instead. Nobody else is believed.

The one place that says so. The server must hand the connection's own peer to the application: `python -m api`
does; uvicorn would otherwise read the header by rules of its own.
"""

from collections.abc import Iterator
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import Annotated, TypeAlias

from fastapi import Depends, Request

from api.composition import InRooms
from pitstop.settings import Settings

Address: TypeAlias = IPv4Address | IPv6Address

# A peer that has no address, such as that of a Unix socket: all of them are one to the limits.
UNKNOWN = IPv6Address("::")
# So many proxies are asked whom they speak for; a longer chain is somebody's invention or a loop.
_MOST_HOPS = 10
# One line of a provider's customer: whoever has one IPv6 address has all 2^64 of its network (RFC 6177, section 2).
_IPV6_PREFIX = 64


async def client_address(request: Request, rooms: InRooms) -> Address:
    return address_of(request, rooms.settings)


def address_of(request: Request, settings: Settings) -> Address:
    """The nearest hop that is no trusted proxy (its own word about the hops before it counts for nothing)."""
    peer = parsed(request.client.host) if request.client else None
    return _nearest_untrusted(peer or UNKNOWN, _hops(request, settings), settings)


def network_of(address: Address) -> str:
    """What the limits count as one address: an IPv4 address, an IPv6 network of 64 bits."""
    if isinstance(address, IPv4Address):
        return str(address)
    return str(ip_network((int(address), _IPV6_PREFIX), strict=False))


def parsed(text: str) -> Address | None:
    """An address as headers write it, with port, brackets or zone, or None. IPv4 written as IPv6 is IPv4."""
    host = text.strip()
    if host.startswith("["):
        host, closed, port = host[1:].partition("]")
        if not closed or not _is_port(port):
            return None
    elif host.count(":") == 1:
        host, _, port = host.partition(":")
        if not _is_port(f":{port}"):
            return None
    try:
        address = ip_address(host.partition("%")[0])
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return mapped or address


def _is_port(text: str) -> bool:
    """Of the text behind an address: nothing, or a colon and digits."""
    return not text or (text[0] == ":" and text[1:].isascii() and text[1:].isdigit())


def _nearest_untrusted(peer: Address, hops: Iterator[str], settings: Settings) -> Address:
    """From the nearest hop on: what no proxy of ours has written is never looked at."""
    address = peer
    for _ in range(_MOST_HOPS):
        if not any(address in network for network in settings.proxy_networks):
            break
        named = parsed(next(hops, ""))
        if named is None:
            break
        address = named
    return address


def _hops(request: Request, settings: Settings) -> Iterator[str]:
    """The hops that the header names, the nearest first. A header that is sent in several lines is one list."""
    header = settings.forwarded_header
    for line in reversed(request.headers.getlist(header)):
        for element in reversed(line.split(",")):
            yield element if header == "X-Forwarded-For" else _forwarded_for(element)


def _forwarded_for(element: str) -> str:
    """The parameter `for` of one element of `Forwarded` (RFC 7239, section 4): once, maybe quoted."""
    pairs = [pair.partition("=") for pair in element.split(";")]
    named = [value.strip() for name, _, value in pairs if name.strip().lower() == "for"]
    return named[0].strip('"') if len(named) == 1 else ""


# For routes: the address of whoever calls.
ClientAddress = Annotated[Address, Depends(client_address)]
