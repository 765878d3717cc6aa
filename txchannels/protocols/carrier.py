"""What an exchange asks of the connection, or stream of HTTP/2, that carries it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from txchannels.protocols.exchange import Exchange

__all__ = ["Carrier"]


class Carrier(Protocol):
    """The connection or stream that carries an exchange."""

    def write_response(
        self, exchange: Exchange, status: int, fields: Any, content: bytes, more: bool
    ) -> None: ...

    def write_chunk(self, exchange: Exchange, content: bytes, more: bool) -> None: ...

    def write_error(self, exchange: Exchange, status: int, reason: str) -> None: ...

    def exchange_broken(self, exchange: Exchange) -> None: ...

    def pause_body(self) -> None: ...

    def resume_body(self) -> None: ...

    def start_body(self) -> None:
        """The turn of the exchange that waits to be started has come."""

    def unsent_bytes(self, exchange: Exchange) -> int:
        """How many bytes of the response wait for the client to take them."""

    def watch_client(self, exchange: Exchange) -> None:
        """Notice when the client vanishes, though nothing more is expected of it."""
