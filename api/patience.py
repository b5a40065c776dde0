"""Connections on which nothing is said: uvicorn's own time limit begins after the first answer only."""

import asyncio

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

# The parser itself has no limit. The longest head of ours is a token and a link's query, a few thousand bytes.
MAX_HEAD_BYTES = 64 * 1024


class PatientProtocol(HttpToolsProtocol):
    """Closes a connection whose request head has not come in time, however slowly its bytes drip in, or has no end."""

    seconds: float = 10.0
    _head: asyncio.TimerHandle | None = None
    _head_bytes = 0
    _in_body = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._expect_head()

    def connection_lost(self, exc: Exception | None) -> None:
        self._head_is_here()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        # What comes after an early answer, such as a 413, is the rest of that request's body, and no head.
        if self._head is None and not self._in_body and (self.cycle is None or self.cycle.response_complete):
            self._expect_head()
        super().data_received(data)
        if self._head is not None:
            self._head_bytes += len(data)
            if self._head_bytes > MAX_HEAD_BYTES and not self.transport.is_closing():
                self.send_400_response("The request's head is too large.")

    def on_headers_complete(self) -> None:
        self._head_is_here()
        self._in_body = True
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        self._in_body = False
        super().on_message_complete()

    def _expect_head(self) -> None:
        self._head = self.loop.call_later(self.seconds, self.transport.close)

    def _head_is_here(self) -> None:
        self._head_bytes = 0
        if self._head is not None:
            self._head.cancel()
            self._head = None


def patient_with(seconds: float) -> type[PatientProtocol]:
    return type("PatientProtocol", (PatientProtocol,), {"seconds": seconds})
