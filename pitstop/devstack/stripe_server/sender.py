"""The HTTP POST of a webhook: a connection each, and only the status counts.

Measured: a general client with its pool took 2.5 ms of a core for each webhook, most of what a payment cost here.
"""

import asyncio
from urllib.parse import urlsplit


class NotSent(Exception):
    """No status came back: the endpoint was not reached, was too slow, or did not speak HTTP."""


async def post(url: str, payload: bytes, headers: dict[str, str], timeout: float) -> int:  # noqa: ASYNC109
    """Answers the status. `timeout`, in seconds, covers the whole exchange. Raises `NotSent`."""
    try:
        async with asyncio.timeout(timeout):
            return await _exchange(url, payload, headers)
    except TimeoutError as error:
        raise NotSent(f"no answer within {timeout:g} s") from error
    except (OSError, ValueError, asyncio.IncompleteReadError, asyncio.LimitOverrunError) as error:
        raise NotSent(f"{type(error).__name__}: {error}") from error


async def _exchange(url: str, payload: bytes, headers: dict[str, str]) -> int:
    target = urlsplit(url)
    secure = target.scheme == "https"
    port = target.port or (443 if secure else 80)
    reader, writer = await asyncio.open_connection(target.hostname, port, ssl=secure or None)
    try:
        path = (target.path or "/") + (f"?{target.query}" if target.query else "")
        fixed = {"Host": target.netloc.rpartition("@")[2], "Content-Length": str(len(payload)), "Connection": "close"}
        lines = [f"POST {path} HTTP/1.1", *(f"{name}: {value}" for name, value in (fixed | headers).items())]
        writer.write("\r\n".join([*lines, "", ""]).encode() + payload)
        return _status(await reader.readuntil(b"\r\n"))
    finally:
        writer.close()


def _status(line: bytes) -> int:
    version, code, *_ = line.decode("latin-1").split(" ")
    if not version.startswith("HTTP/"):
        raise ValueError(f"not HTTP: {line[:40]!r}")
    return int(code)
