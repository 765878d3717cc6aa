"""Every message on the layer: its fields, and who sends it to whom (ASGI version 1).

A message's kind is implied by the channel that it is read from. Fields marked *ours*
are additions of txchannels; a program that does not know them may ignore them.
"""

from __future__ import annotations

from typing import Any, TypedDict

from txchannels.errors import MessageTooLarge

__all__ = [
    "MAX_MESSAGE_BYTES",
    "HttpBodyChunk",
    "HttpDisconnect",
    "HttpRequest",
    "HttpResponse",
    "WebSocketConnect",
    "WebSocketDisconnect",
    "WebSocketReceive",
    "WebSocketReply",
    "copy_message",
]

Headers = list[list[bytes]]


class HttpRequest(TypedDict, total=False):
    """``http.request``: protocol server to application, one a request."""

    reply_channel: str
    http_version: str
    method: str
    scheme: str
    path: str
    query_string: bytes
    root_path: str
    headers: Headers
    body: bytes
    body_channel: str | None
    client: list[Any] | None
    server: list[Any] | None


class HttpBodyChunk(TypedDict, total=False):
    """On the request's ``body_channel``: protocol server to application."""

    content: bytes
    closed: bool
    more_content: bool


class HttpResponse(TypedDict, total=False):
    """On the request's reply channel: application to protocol server.

    The first has a status; later ones have only content and more_content.
    """

    status: int
    headers: Headers
    content: bytes
    more_content: bool


class HttpDisconnect(TypedDict, total=False):
    """``http.disconnect``: protocol server to application, after every request."""

    reply_channel: str
    path: str


class WebSocketConnect(TypedDict, total=False):
    """``websocket.connect``: protocol server to application, while the handshake waits.

    ``subprotocols`` (*ours*): what the client offered, in its order of preference.
    """

    reply_channel: str
    scheme: str
    path: str
    query_string: bytes
    root_path: str
    headers: Headers
    client: list[Any] | None
    server: list[Any] | None
    order: int
    subprotocols: list[str]


class WebSocketReceive(TypedDict, total=False):
    """``websocket.receive``: protocol server to application; one of bytes and text is None."""

    reply_channel: str
    path: str
    bytes: bytes | None
    text: str | None
    order: int


class WebSocketDisconnect(TypedDict, total=False):
    """``websocket.disconnect``: protocol server to application, the socket's last message."""

    reply_channel: str
    path: str
    code: int
    order: int


class WebSocketReply(TypedDict, total=False):
    """On the socket's reply channel: application to protocol server.

    ``subprotocol`` (*ours*, beside ``accept``): the one of the offered ones to speak.
    ``consumed`` (*ours*): the order number of a message whose consumer has returned; the
    socket's next message is handed out then.
    """

    text: str | None
    bytes: bytes | None
    close: bool | int
    accept: bool
    subprotocol: str
    consumed: int


#: ASGI asks layers to carry 1 MiB; this leaves room for what goes with such a content.
MAX_MESSAGE_BYTES = 2**20 + 2**16

MAX_DEPTH = 32


def copy_message(message: Any, *, max_bytes: int = MAX_MESSAGE_BYTES) -> dict[str, Any]:
    """A copy of *message* that shares nothing changeable with it; tuples become lists.

    Raises:
        TypeError: It is no dict, or holds what no layer carries; says what and where.
        MessageTooLarge: Its texts and bytes together are larger than *max_bytes*.
    """
    if type(message) is not dict and not isinstance(message, dict):
        raise TypeError(f"A message must be a dict, not {type(message).__name__}: {message!r:.80}")
    copier = _Copier(max_bytes)
    return copier.copy_dict(message, "message", 1)


class _Copier:
    """One walk over a message; counts its bytes."""

    __slots__ = ("left", "limit")

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.left = limit

    def copy_dict(self, value: dict[Any, Any], where: str, depth: int) -> dict[str, Any]:
        copied = {}
        for key, item in value.items():
            if not isinstance(key, str):
                raise TypeError(f"{where} has the key {key!r}; keys must be text")
            copied[key] = self.copy(item, where, key, depth)
        return copied

    def copy(self, value: Any, where: str, key: str | int, depth: int) -> Any:
        kind = type(value)
        if kind is str or kind is bytes:
            self.spend(len(value))
            return value
        if value is None or kind is int or kind is bool or kind is float:
            return value
        return self.copy_other(value, f"{where}[{key!r}]", depth)

    def copy_other(self, value: Any, where: str, depth: int) -> Any:
        if depth > MAX_DEPTH:
            raise TypeError(f"{where} is nested deeper than {MAX_DEPTH} levels")
        if isinstance(value, dict):
            return self.copy_dict(value, where, depth + 1)
        if isinstance(value, list | tuple):
            return [self.copy(item, where, i, depth + 1) for i, item in enumerate(value)]
        if isinstance(value, bytearray | memoryview):
            value = bytes(value)
        if isinstance(value, str):
            value = str.__str__(value) if type(value).__str__ is str.__str__ else str(value)
        if isinstance(value, str | bytes):
            self.spend(len(value))
            return value
        if isinstance(value, int | float):
            return value
        raise TypeError(
            f"{where} is a {type(value).__name__}; messages carry only "
            "bytes, str, int, float, bool, None, lists and dicts of them"
        )

    def spend(self, size: int) -> None:
        self.left -= size
        if self.left < 0:
            raise MessageTooLarge(f"A message may hold {self.limit} bytes")
